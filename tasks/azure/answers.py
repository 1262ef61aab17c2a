"""The answer to a small request, read as it comes by httptools, which is Node's own parser."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import RemoteDisconnected

import httptools


class Unusual(Exception):
    """Not the plain case: the request may or may not have been done."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By their names in lower case."""

    body: bytes = field(repr=False)


def read_answer(receive: Callable[[], bytes], has_body: bool, body_max_bytes: int) -> Answer:
    """Read one answer from what comes. `has_body` is False for a HEAD's, whose length, if any, is that of a
    body that does not come. Raises Unusual for all but the plain case, OSError if it ends too soon."""
    seen = _Seen()
    parser = httptools.HttpResponseParser(seen)
    while not (seen.is_whole or (seen.has_head and not has_body)):
        data = receive()
        if not data:
            raise RemoteDisconnected("The connection was closed before its answer.")
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise Unusual(str(error)) from error
        if seen.has_head:
            _check(seen, parser.get_http_version(), parser.get_status_code())
            if has_body:
                _check_length(seen.headers.get("content-length", ""), body_max_bytes)
    return Answer(parser.get_status_code(), seen.headers, b"".join(seen.body))


class _Seen:
    """What has come of an answer. Its methods are what httptools calls; it does not know its parser, as what
    knows one another stays in memory until somebody looks for it."""

    def __init__(self) -> None:
        self.count = 0
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.has_head = self.is_whole = False
        self.on_body = self.body.append

    def on_message_begin(self) -> None:
        self.count += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_message_complete(self) -> None:
        self.is_whole = True


def _check(seen: _Seen, version: str, status: int) -> None:
    is_last = version != "1.1" or seen.headers.get("connection", "").lower() == "close"
    if is_last or seen.count > 1 or status < 200:
        raise Unusual("the answer is the last one, or is not the only one")


def _check_length(length: str, max_bytes: int) -> None:
    if not length.isdecimal() or int(length) > max_bytes:
        raise Unusual(f"the answer has {length or 'an unknown number of'} bytes")
