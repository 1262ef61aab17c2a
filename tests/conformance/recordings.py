"""Recordings of the real service, as the test proxy of Azure's SDKs keeps them, and their replay.

A file holds `Entries`: requests in order, each with the answer that Azure gave. They are sent again, signed,
to a local service. What a file expects to be there (a pool that another file made) is made first, from the
first answer that shows it. Names that the service chose (nodes, skip tokens) are put in their place.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

from batch_emulator import Account
from tests.conformance.staging import meet_nodes, stage
from tests.shared_key import authorize

_SENT = (
    "accept",
    "content-type",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "ocp-range",
)
#: Headers whose presence is compared, and those whose value is.
_PRESENT = (
    "etag",
    "last-modified",
    "dataserviceid",
    "location",
    "request-id",
    "content-type",
    "ocp-batch-file-url",
    "ocp-batch-file-isdirectory",
)
_EQUAL = (
    "dataserviceversion",
    "server",
    "x-content-type-options",
    "strict-transport-security",
    "content-type",
)
_NODE = re.compile(r"tvmps_[0-9a-f]{64}_[dp]")
_STATES = ("state", "allocationState", "schedulingState")


@dataclass(frozen=True)
class Exchange:
    """One request and its recorded answer; `query` is decoded, header names are in lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any
    status: int
    answered: dict[str, str]
    answer: Any


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Service:
    """A local service, with what it has chosen in place of the names in the recording."""

    account: Account
    client: httpx.Client
    names: dict[str, str] = field(default_factory=dict)
    next_token: str = ""

    def send(self, exchange: Exchange) -> Answer:
        """The answer to a recorded request, signed anew."""
        path = self.rename(exchange.path)
        query = [(name, self._option(name, value)) for name, value in exchange.query]
        content = b"" if exchange.body is None else self.rename(_encode(exchange.body)).encode()
        headers = {name: exchange.headers[name] for name in _SENT if name in exchange.headers}
        headers["ocp-date"] = formatdate(usegmt=True)
        if exchange.method not in ("GET", "HEAD"):
            headers["content-length"] = str(len(content))
        name, key = self.account.name, self.account.key
        headers["authorization"] = authorize(name, key, exchange.method, path, dict(query), headers)
        text = "&".join(f"{quote(name, '$')}={quote(value)}" for name, value in query)
        url = f"{self.account.endpoint}{path}?{text}"
        found = self.client.request(exchange.method, url, content=content, headers=headers)
        return Answer(
            found.status_code, {k.lower(): v for k, v in found.headers.items()}, _decode(found.text)
        )

    def rename(self, text: str) -> str:
        return _NODE.sub(lambda found: self.names.get(found[0], found[0]), text)

    def learn(self, recorded: Any, found: Any) -> None:
        """Nodes that stand at the same place of both answers are one; a page's link leads to the next."""
        if isinstance(recorded, dict) and isinstance(found, dict):
            ids = (str(recorded.get("id", "")), str(found.get("id", "")))
            if all(map(_NODE.fullmatch, ids)):
                self.names.setdefault(*ids)
            if "odata.nextLink" in found:
                self.next_token = dict(parse_qsl(urlsplit(found["odata.nextLink"]).query))["$skiptoken"]
            for one, other in zip(recorded.get("value") or [], found.get("value") or [], strict=False):
                self.learn(one, other)

    def get(self, path: str, version: str) -> Any:
        return self.send(Exchange("GET", path, [("api-version", version)], {}, None, 200, {}, None)).body

    def _option(self, name: str, value: str) -> str:
        return self.next_token if name == "$skiptoken" else self.rename(value)


def read_recording(file: Path) -> list[Exchange]:
    """The exchanges of one file; of a client that waited, its first and its last look."""
    entries = json.loads(file.read_text(encoding="utf-8-sig"))["Entries"]
    exchanges = [_exchange(each) for each in entries]
    return [each for number, each in enumerate(exchanges) if not _is_between(exchanges, number)]


def read_setup(file: Path) -> str:
    """What is to be made before one file's exchanges, where they don't show it whole; else "".

    It stands beside the file, a line each: `POST /pools {...}`, or `WAIT /jobs/j/tasks completed`.
    """
    setup = file.with_suffix(".setup")
    return setup.read_text(encoding="utf-8") if setup.exists() else ""


def replay(
    exchanges: list[Exchange], account: Account, patience_seconds: float, setup: str = ""
) -> Iterator[list[str]]:
    """What differs in each answer; an empty list where nothing does."""
    with httpx.Client(timeout=60) as client:
        service = Service(account, client)
        stage(service, exchanges, setup, patience_seconds)
        for exchange in exchanges:
            meet_nodes(service, exchange, patience_seconds)
            answer = _answer_in_time(service, exchange, patience_seconds)
            service.learn(exchange.answer, answer.body)
            yield [f"{exchange.method} {exchange.path}: {each}" for each in differences(exchange, answer)]


def differences(exchange: Exchange, answer: Answer) -> Iterator[str]:
    """Status, headers, and the body: its properties, their order, and the spelling of words from a few."""
    if exchange.status != answer.status:
        yield f"status {exchange.status}, not {answer.status} {_code(answer.body)}"
        return
    for name in _PRESENT:
        if (name in exchange.answered) != (name in answer.headers):
            yield f"header {name} {'missing' if name in exchange.answered else 'too much'}"
    for name in _EQUAL:
        if name in exchange.answered and exchange.answered[name] != answer.headers.get(name):
            yield f"header {name} is {answer.headers.get(name)}"
    yield from _compare(exchange.answer, answer.body, "")


def _compare(recorded: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(found, dict):
        yield from _compare_objects(recorded, found, path)
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield f"{path}: {len(recorded)} items, not {len(found)}"
        for one, other in zip(recorded, found, strict=False):
            yield from _compare(one, other, f"{path}[]")
    elif type(recorded) is not type(found) or (_is_telling(recorded, path) and recorded != found):
        yield f"{path}: {recorded!r:.60}, not {found!r:.60}"


def _compare_objects(recorded: dict[str, Any], found: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{name} missing" for name in recorded if name not in found)
    yield from (f"{path}.{name} too much" for name in found if name not in recorded)
    shared = [name for name in recorded if name in found]
    if shared != [name for name in found if name in recorded]:
        yield f"{path}: order {', '.join(found)}"
    if str(recorded.get("odata.metadata")).endswith("#files"):
        recorded, found = _sort_files(recorded), _sort_files(found)
    for name in shared:
        yield from _compare(recorded[name], found[name], f"{path}.{name}")


def _sort_files(listed: dict[str, Any]) -> dict[str, Any]:
    """By name: files of a Linux node are recorded in no order."""
    return listed | {"value": sorted(listed["value"], key=lambda file: file["name"])}


def _is_telling(value: Any, path: str) -> bool:
    """Whether a value must be the recorded one: codes, words from a few, durations, directories, booleans,
    defaults."""
    name = path.rpartition(".")[2].removesuffix("[]")
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return (
            not re.search(r"Count$|Port|numberOfFiles|current|total|Hours", name) and ".value[]" not in path
        )
    return isinstance(value, str) and bool(
        re.fullmatch(r"[A-Za-z]{2,40}|PT?\d[\dA-Z.]*|workitems[/\\].*", value)
    )


def _answer_in_time(service: Service, exchange: Exchange, patience_seconds: float) -> Answer:
    """The answer, asked for again while it tells of another state than the recorded one."""
    deadline = time.monotonic() + patience_seconds
    while True:
        answer = service.send(exchange)
        if exchange.method != "GET" or time.monotonic() > deadline or _same_states(exchange, answer):
            return answer
        time.sleep(0.05)


def _same_states(exchange: Exchange, answer: Answer) -> bool:
    return exchange.status == answer.status and _states(exchange.answer) == _states(answer.body)


def _states(body: Any) -> list[Any]:
    if not isinstance(body, dict):
        return []
    items = body["value"] if isinstance(body.get("value"), list) else [body]
    return [[each.get(name) for name in _STATES] for each in items if isinstance(each, dict)]


def _exchange(entry: dict[str, Any]) -> Exchange:
    url = urlsplit(entry["RequestUri"])
    return Exchange(
        entry["RequestMethod"],
        unquote(url.path),
        parse_qsl(url.query, keep_blank_values=True),
        _lowered(entry["RequestHeaders"]),
        entry["RequestBody"],
        entry["StatusCode"],
        _lowered(entry["ResponseHeaders"]),
        entry["ResponseBody"],
    )


def _lowered(headers: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}


def _is_between(exchanges: list[Exchange], number: int) -> bool:
    """Whether an exchange is neither the first nor the last of a row of the same GET."""
    if not 0 < number < len(exchanges) - 1:
        return False
    around = exchanges[number - 1 : number + 2]
    return len({(each.method, each.path, str(each.query)) for each in around}) == 1 and (
        around[0].method == "GET" and "skiptoken" not in str(around[0].query)
    )


def _encode(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _decode(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _code(body: Any) -> Any:
    return (body.get("code"), body.get("values")) if isinstance(body, dict) else ""
