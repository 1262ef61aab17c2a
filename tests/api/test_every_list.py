"""Every list, property, operator, page and selection: what is allowed works, all else is refused."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import pytest_asyncio

from tests.api.lists import LISTS, LITERALS, OPERATORS, TIME, List, fill_account
from tests.api.service import serve
from tests.api.wire import Wire, error

TESTS = {name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")}
REFUSED = (400, "InvalidQueryParameterValue")

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS.keys()),
]


@dataclass(frozen=True)
class Account:
    """A service with something in each list, which no test changes, and one of its nodes."""

    wire: Wire
    node_id: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def account(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Account]:
    async with serve(tmp_path_factory.mktemp("service")) as wire:
        yield Account(wire, await fill_account(wire))


async def filled(account: Account, listed: List) -> tuple[str, list[dict[str, Any]]]:
    """The list's path, and all that it has."""
    path = listed.path.format(node=account.node_id)
    return path, await walk(account.wire, path, {})


async def walk(wire: Wire, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        body = await wire.get(path, query=query)
        found += body["value"]
        if "odata.nextLink" not in body:
            return found
        query = dict(parse_qsl(urlsplit(body["odata.nextLink"]).query))
        del query["api-version"]


def value_of(item: dict[str, Any], path: str) -> Any:
    for name in path.split("/"):
        item = item.get(name) if isinstance(item, dict) else None
    return item


def holds(item: dict[str, Any], path: str, name: str, wanted: Any) -> bool:
    """What a condition means of the JSON of an item: a missing value is equal to none and in no order."""
    value = value_of(item, path)
    if value is None:
        return name == "ne"
    if isinstance(value, str):
        value, wanted = value.lower(), wanted.lower()
    return value.startswith(wanted) if name == "startswith" else TESTS[name](value, wanted)


def write(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"datetime'{value}'" if kind == TIME else repr(value)


def condition(path: str, name: str, literal: str) -> str:
    return f"startswith({path},{literal})" if name == "startswith" else f"{path} {name} {literal}"


async def test_each_property_with_each_operator(account: Account, listed: List) -> None:
    """A filter that the page allows finds what its meaning says, of each value that the list shows; all other
    operators are refused, and literals of another type, and `null`."""
    wire = account.wire
    path, items = await filled(account, listed)
    wrong = []
    for name, (allowed, kind) in (listed.table or {}).items():
        shown = [found for each in items if (found := value_of(each, name)) is not None]
        values = shown[:2] + shown[-1:] or [None]
        for each in OPERATORS:
            for value in values if each in allowed else [None]:
                usual = listed.words.get(name)
                literal = (
                    write(value, kind) if value is not None else repr(usual) if usual else LITERALS[kind]
                )
                text = condition(name, each, literal)
                answer = await wire.send("GET", path, query={"$filter": text})
                if each not in allowed:
                    wrong += [] if error(answer)[:2] == REFUSED else [text]
                elif answer.status_code != 200:
                    wrong.append((text, answer.text))
                elif value is not None:
                    expected = [item for item in items if holds(item, name, each, value)][: listed.longest]
                    wrong += [] if answer.json()["value"] == expected else [text]
        other = "5" if kind != "number" else "'five'"
        for literal in ("null", other):
            text = condition(name, sorted(allowed)[0], literal)
            answer = await wire.send("GET", path, query={"$filter": text})
            wrong += [] if error(answer)[:2] == REFUSED else [text]
    assert wrong == []


async def test_nothing_else_filters(account: Account, listed: List) -> None:
    """A property that the page lacks, another spelling, `not`, functions and broken text are refused."""
    wire = account.wire
    path, _ = await filled(account, listed)
    if listed.table is None:
        return
    name, (allowed, kind) = next(iter(listed.table.items()))
    word = listed.words.get(name)
    good = condition(name, sorted(allowed)[0], repr(word) if word else LITERALS[kind])
    for text in (
        "colour eq 'x'",
        "url eq 'x'",
        good.replace(name, name.upper()),
        f"not ({good})",
        f"contains({name},'x')",
        f"{good} and",
        f"({good}",
        f"{good} or colour eq 'x'",
        name,
    ):
        answer = await wire.send("GET", path, query={"$filter": text})
        assert error(answer)[:2] == REFUSED, text
        assert error(answer)[2]["QueryParameterName"] == "$filter"
    both = await wire.send("GET", path, query={"$filter": f"({good}) or ({good} and {good})"})
    assert both.status_code == 200


async def test_pages(account: Account, listed: List) -> None:
    """One item a page gives the same as all at once; page sizes and tokens that cannot be are refused."""
    wire = account.wire
    path, items = await filled(account, listed)
    assert await walk(wire, path, {"maxresults": "1"}) == items
    for most in ("0", "-1", str(listed.longest + 1), "many", ""):
        answer = await wire.send("GET", path, query={"maxresults": most})
        assert error(answer)[:2] == REFUSED, most
    for token in ("nonsense", "WATV2:#"):
        answer = await wire.send("GET", path, query={"$skiptoken": token})
        assert error(answer)[:2] == REFUSED, token


#: What a service tells of nodes and pools that have it, whatever is selected.
TOLD_ANYWAY = ("virtualMachineInfo", "upgradePolicy")


async def test_selection(account: Account, listed: List) -> None:
    """Each property alone, two, and one that an item lacks; a property that there is not is refused."""
    wire = account.wire
    path, items = await filled(account, listed)
    if not listed.selects:
        return
    names = sorted({name for each in items for name in each})
    for wanted in [*([name] for name in names), names[:2]]:
        found = await walk(wire, path, {"$select": ",".join(wanted)})
        told = {*wanted, *TOLD_ANYWAY}
        assert found == [{name: each[name] for name in each if name in told} for each in items], wanted
    assert await walk(wire, path, {"$select": "*"}) == items
    for text in ("colour", "id,colour", "ID"):
        answer = await wire.send("GET", path, query={"$select": text})
        assert error(answer)[:2] == REFUSED, text
        assert error(answer)[2]["QueryParameterName"] == "$select"


async def test_expansion(account: Account, listed: List) -> None:
    """Resources with statistics can be asked for with them, and with nothing else."""
    wire = account.wire
    path, _ = await filled(account, listed)
    if not listed.etags:
        return
    assert (await wire.send("GET", path, query={"$expand": "stats"})).status_code == 200
    answer = await wire.send("GET", path, query={"$expand": "colour"})
    assert error(answer)[:2] == REFUSED


async def test_etags(account: Account, listed: List) -> None:
    """An item's ETag is the one that reading it gives, in header and body, and takes part in conditions."""
    wire = account.wire
    path, items = await filled(account, listed)
    assert "etag" not in (await wire.send("GET", path)).headers
    if not listed.etags:
        return
    for item in items:
        answer = await wire.send("GET", f"{path}/{item['id']}")
        assert answer.headers["etag"] == answer.json()["eTag"] == item["eTag"]
        for headers, status in (
            ({"if-none-match": item["eTag"]}, 304),
            ({"if-match": item["eTag"]}, 200),
            ({"if-match": "0x8D0"}, 412),
            ({"if-none-match": "0x8D0"}, 200),
        ):
            again = await wire.send("GET", f"{path}/{item['id']}", headers=headers)
            assert again.status_code == status, headers
