"""Azure's public list of retail prices, which needs no account.

Source: documentation page "Azure Retail Prices overview" (Cost Management REST API). What its rows look like
for sizes of virtual machines is taken from that page and from published answers.
"""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from tasks.spec.prices import Prices
from tasks.spec.vm_sizes import as_arm_name

Answer = TypeVar("Answer")

ADDRESS = "https://prices.azure.com/api/retail/prices"
# Of a mirror, where nobody gets out.
ADDRESS_VARIABLE = "AZURE_RETAIL_PRICES_URL"
# In it the values of filters are told apart by their case.
API_VERSION = "2023-01-01-preview"
# All together, whatever the list does: it only tells.
ANSWER_SECONDS = 10.0
# It throttles.
PAUSES_SECONDS = (1.0, 3.0)
PASSING = {429, 500, 502, 503, 504}
# Of one size in one region there are some ten rows; a page has up to 1,000.
PAGES_MAX = 10
# Parts of a product's name: what is no Linux node, or none by itself.
OTHER_PRODUCTS = ("windows", "cloudservices", "dedicatedhost")
BATCH_DOMAIN = ".batch.azure.com"


def find_region(batch_endpoint: str) -> str | None:
    """The region of a Batch account, as its address `https://ACCOUNT.REGION.batch.azure.com` says it."""
    host = (urlsplit(batch_endpoint).hostname or "").lower()
    account, _, region = host.removesuffix(BATCH_DOMAIN).partition(".")
    is_public = host.endswith(BATCH_DOMAIN) and account and region and "." not in region
    return region if is_public else None


def ask_prices(region: str, vm_size: str, currency: str) -> Prices:
    """What a node of that size costs an hour with Linux, as far as the list says it.

    Of Spot and of low priority it is the dearer price: which of them an account pays, it doesn't say. Raises
    OSError, or ValueError, if the list can't be reached in time, or answers something else.
    """
    address = os.environ.get(ADDRESS_VARIABLE) or ADDRESS
    name = as_arm_name(vm_size)
    filters = {
        "serviceName": "Virtual Machines",
        "armRegionName": region,
        "armSkuName": name.replace("'", "''"),
    }
    filters["priceType"] = "Consumption"
    wanted = " and ".join(f"{key} eq '{value}'" for key, value in filters.items())
    query = {"api-version": API_VERSION, "currencyCode": f"'{currency}'", "$filter": wanted}
    rows = _in_time(lambda: [*_list_rows(address, query)], ANSWER_SECONDS)
    return pick_prices(rows, region, vm_size, currency)


def pick_prices(rows: Iterable[Any], region: str, vm_size: str, currency: str) -> Prices:
    """The prices of Linux nodes among the rows of the list; None of what it doesn't have."""
    fitting = [row for row in rows if isinstance(row, Mapping) and _fits(row, region, vm_size, currency)]
    dedicated = [_read_price(row) for row in fitting if not _is_spot(row)]
    spot = [_read_price(row) for row in fitting if _is_spot(row)]
    return Prices(max(dedicated, default=None), max(spot, default=None), currency)


def _fits(row: Mapping[str, Any], region: str, vm_size: str, currency: str) -> bool:
    wanted = {
        "serviceName": "Virtual Machines",
        "armRegionName": region,
        "armSkuName": vm_size,
        "type": "Consumption",
        "unitOfMeasure": "1 Hour",
        "currencyCode": currency,
    }
    product = str(row.get("productName", "")).lower().replace(" ", "")
    return (
        all(str(row.get(name, "")).casefold() == value.casefold() for name, value in wanted.items())
        and not any(other in product for other in OTHER_PRODUCTS)
        and not row.get("tierMinimumUnits")
        and _read_price(row) >= 0
    )


def _is_spot(row: Mapping[str, Any]) -> bool:
    named = f"{row.get('meterName', '')} {row.get('skuName', '')}".lower()
    return "spot" in named.split() or "low priority" in named


def _read_price(row: Mapping[str, Any]) -> float:
    """A row's price; -1 if it is none."""
    price = row.get("retailPrice")
    if not isinstance(price, int | float) or isinstance(price, bool) or not math.isfinite(price):
        return -1.0
    return float(price)


def _list_rows(address: str, query: Mapping[str, str]) -> Iterator[Any]:
    """The rows of all pages. A link to the next one leads nowhere else."""
    page = _fetch(address, query)
    for _ in range(PAGES_MAX):
        yield from page["Items"]
        link = page.get("NextPageLink")
        if not link:
            return
        if urlsplit(link).hostname != urlsplit(address).hostname:
            raise ValueError(f"its next page is somewhere else: {urlsplit(link).hostname}")
        page = _fetch(link, {})
    raise ValueError(f"it has more than {PAGES_MAX} pages of that")


def _fetch(address: str, query: Mapping[str, str]) -> dict[str, Any]:
    answer = requests.get(address, params=query, timeout=ANSWER_SECONDS)
    for pause_seconds in PAUSES_SECONDS:
        if answer.status_code not in PASSING:
            break
        time.sleep(pause_seconds)
        answer = requests.get(address, params=query, timeout=ANSWER_SECONDS)
    if not answer.ok:
        raise ValueError(f"it answers {answer.status_code} {answer.reason}")
    page = answer.json()
    if not isinstance(page, dict) or not isinstance(page.get("Items"), list):
        raise ValueError("its answer is no list of prices")
    return page


def describe_failure(error: Exception) -> str:
    """Why the list could not be asked, in a few words."""
    if isinstance(error, requests.JSONDecodeError):
        return "its answer is no JSON"
    if isinstance(error, requests.ConnectionError):
        return (
            f"nothing answers at {urlsplit(error.request.url).hostname if error.request else 'its address'}"
        )
    return str(error).strip().partition("\n")[0]


def _in_time(ask: Callable[[], Answer], seconds: float) -> Answer:
    """What it answers within that time. Timeouts of a socket begin anew with each byte; the thread that waits
    by one of those keeps no process from ending."""
    answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=answer, daemon=True, name="retail prices").start()
    try:
        found = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no whole answer within {seconds:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found
