"""Azure's public price list, played by a small server that answers in its published shape."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from tasks.azure import retail_prices
from tasks.azure.retail_prices import ADDRESS_VARIABLE, ask_prices, find_region, pick_prices
from tasks.planning.public_prices import look_up_prices
from tasks.plans import find_plan_prices
from tasks.spec.prices import Prices, PriceSpec, find_prices
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec
from tests.price_list import ROW, page, send, served

SPOT = ROW | {"meterName": "D2s v3 Spot", "skuName": "D2s v3 Spot", "retailPrice": 0.018}
LOW_PRIORITY = ROW | {
    "meterName": "D2s v3 Low Priority",
    "skuName": "D2s v3 Low Priority",
    "retailPrice": 0.02,
}
OTHERS = [
    ROW | {"productName": "Virtual Machines DSv3 Series Windows", "retailPrice": 0.188},
    SPOT | {"productName": "Virtual Machines DSv3 Series Windows", "retailPrice": 0.08},
    ROW | {"productName": "DSv3 Series Cloud Services", "retailPrice": 0.2},
    ROW | {"productName": "DSv3 Series Dedicated Host", "retailPrice": 4.0},
    ROW | {"type": "DevTestConsumption", "retailPrice": 0.5},
    ROW | {"type": "Reservation", "reservationTerm": "1 Year", "retailPrice": 503.0},
    ROW | {"unitOfMeasure": "1 Month", "retailPrice": 70.0},
    ROW | {"armRegionName": "eastus", "retailPrice": 7.0},
    ROW | {"armSkuName": "Standard_D4s_v3", "retailPrice": 7.0},
    ROW | {"serviceName": "Storage", "retailPrice": 7.0},
    ROW | {"currencyCode": "EUR", "retailPrice": 7.0},
    ROW | {"retailPrice": "9"},
    ROW | {"retailPrice": None},
    ROW | {"retailPrice": float("inf")},
    ROW | {"retailPrice": -1},
    ROW | {"retailPrice": True},
    "nonsense",
]
ASKED = ("westeurope", "STANDARD_D2S_V3", "USD")


def test_linux_nodes_are_picked_by_kind():
    """No other system, product, contract, region, size or unit; of Spot and low priority the dearer."""
    assert pick_prices([ROW, SPOT, LOW_PRIORITY, *OTHERS], *ASKED) == Prices(0.096, 0.02, "USD")
    assert pick_prices([SPOT, *OTHERS], *ASKED) == Prices(None, 0.018, "USD")
    assert pick_prices(OTHERS, *ASKED) == Prices(None, None, "USD")


def test_the_list_is_asked_for_one_size_in_one_region_page_by_page(monkeypatch):
    """In the words and the case of the documentation; a second page is read, and a busy list asked again."""
    queries, statuses = [], [429, 200, 200]

    def answer(handler):
        queries.append({name: found for name, (found,) in parse_qs(urlsplit(handler.path).query).items()})
        link = None if "$skip" in handler.path else f"{address}?$skip=1000"
        send(handler, page([SPOT] if link is None else [ROW], link), statuses.pop(0))

    monkeypatch.setattr(retail_prices, "PAUSES_SECONDS", (0.0,))
    with served(answer) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
        assert ask_prices(*ASKED) == Prices(0.096, 0.018, "USD")
    assert (
        queries[0]
        == queries[1]
        == {
            "api-version": "2023-01-01-preview",
            "currencyCode": "'USD'",
            "$filter": "serviceName eq 'Virtual Machines' and armRegionName eq 'westeurope' "
            "and armSkuName eq 'Standard_D2s_v3' and priceType eq 'Consumption'",
        }
    )
    assert queries[2] == {"$skip": "1000"}


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Bytes without end: no timeout of a socket ends it."""
    handler.send_response(200)
    handler.end_headers()
    never = threading.Event()
    try:
        while not never.wait(0.02):
            handler.wfile.write(b" ")
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda handler: send(handler, {}, 503), "it answers 503 Service Unavailable"),
        (lambda handler: send(handler, {}, 404), "it answers 404 Not Found"),
        (lambda handler: send(handler, b"<html>Sign in</html>"), "its answer is no JSON"),
        (lambda handler: send(handler, []), "no list of prices"),
        (
            lambda handler: send(handler, page([ROW], "https://elsewhere.example/x")),
            "somewhere else: elsewhere",
        ),
        (
            lambda handler: send(handler, page([ROW], f"http://{handler.headers['Host']}/")),
            "more than 10 pages",
        ),
        (lambda handler: send(handler, page(OTHERS[:-1])), "has no STANDARD_D2S_V3 in westeurope"),
        (lambda handler: handler.connection.close(), "nothing answers at 127.0.0.1"),
        (drip, "no whole answer within 0.3 s"),
    ],
)
def test_a_list_that_does_not_tell_is_one_line_in_the_log(answer, said, monkeypatch, caplog):
    """Whatever it answers, in time or not at all, the run has no prices and goes on."""
    monkeypatch.setattr(retail_prices, "PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr(retail_prices, "ANSWER_SECONDS", 0.3 if answer is drip else 10.0)
    with served(answer) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
        assert look_up_prices.fn("a-key", *ASKED) is None
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("Public prices are left out: ")
    assert said in line


def test_where_nobody_listens_it_is_one_line_too(monkeypatch, caplog):
    """As on a machine without the internet."""
    with served(drip) as address:
        monkeypatch.setenv(ADDRESS_VARIABLE, address)
    assert look_up_prices.fn("a-key", *ASKED) is None
    assert caplog.messages == [
        "Public prices are left out: the price list can't be asked: nothing answers at 127.0.0.1"
    ]


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://words.westeurope.batch.azure.com", "westeurope"),
        ("https://words.westeurope.batch.azure.com:443/", "westeurope"),
        ("http://127.0.0.1:10100", None),
        ("https://words.chinaeast.batch.chinacloudapi.cn", None),
        ("https://batch.azure.com", None),
        ("", None),
    ],
)
def test_the_region_is_in_the_address_of_the_account(endpoint, region):
    """Of Azure's public cloud, whose prices these are."""
    assert find_region(endpoint) == region


def test_what_is_given_counts_more_than_what_is_listed():
    """One kind may be given, and the other listed."""
    listed = Prices(0.096, 0.02, "USD")
    assert find_prices(PriceSpec(public=True), PoolSpec(), listed) == listed
    assert find_prices(PriceSpec(per_hour=0.05, public=True), PoolSpec(), listed) == Prices(0.05, 0.02, "USD")
    with pytest.raises(ValidationError, match="such as USD or EUR"):
        PriceSpec(public=True, currency="credits")


def test_the_local_account_has_no_region_but_what_is_given(monkeypatch, caplog):
    """That is told, and nobody is asked."""
    monkeypatch.setenv("AZURE_BATCH_ENDPOINT", "http://127.0.0.1:10100")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "local")
    assert find_plan_prices(RunSpec(inputs="in", command="cat", prices=PriceSpec(public=True))) is None
    assert "Give prices.region" in caplog.text
