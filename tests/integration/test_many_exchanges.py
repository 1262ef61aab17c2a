"""Many small requests at once, in one thread, to endpoints that answer as they like."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from tasks.azure import exchanges
from tasks.azure.exchanges import UNDER_WAY, Endpoint, Request
from tests.answering import serve_answers


@contextmanager
def serving(answer: Callable[[str, int], bytes | None]) -> Iterator[tuple[Endpoint, list[list[str]]]]:
    """An endpoint that answers so, and the paths asked for, by connection."""
    with serve_answers(answer) as (url, asked):
        endpoint = Endpoint(url)
        try:
            yield endpoint, asked
        finally:
            endpoint.close()


def say(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def ask(endpoint: Endpoint, *paths: str | None) -> list[str | None]:
    requests = (Request("GET", path, {}) if path else None for path in paths)
    return [answer and answer.body.decode() for answer in endpoint.exchange_all(requests, 100)]


def test_several_are_under_way_before_the_first_is_answered():
    """That many are on their way at once, and each has its own answer, in their order; what could not be
    asked has none."""
    together = threading.Barrier(UNDER_WAY)

    def answer(path: str, before: int) -> bytes:
        if before == 0:
            together.wait(timeout=30)
        return say(path)

    paths = [f"/{number}" for number in range(3 * UNDER_WAY)]
    with serving(answer) as (endpoint, asked):
        assert ask(endpoint, *paths, None) == [*paths, None]
    assert sorted(chain(*asked)) == sorted(paths)


def test_those_whose_connection_was_closed_are_asked_again():
    """A connection that gave an answer before may be closed by the next request, which goes over a
    new one then."""
    paths = [f"/{number}" for number in range(4 * UNDER_WAY)]
    with serving(lambda path, before: say(path) if before < 2 else None) as (endpoint, asked):
        assert ask(endpoint, *paths) == paths
    assert sum(map(len, asked)) > len(paths)


def test_one_that_is_unusual_is_left_to_the_other_client():
    """It takes none of the others with it, and is asked for once, also over a connection that was kept."""
    paths = [f"/{number}" for number in range(3 * UNDER_WAY)]
    long = paths[2 * UNDER_WAY]
    with serving(lambda path, before: say("x" * 101 if path == long else path)) as (endpoint, asked):
        assert ask(endpoint, *paths) == [None if path == long else path for path in paths]
    assert [*chain(*asked)].count(long) == 1


def test_an_endpoint_that_is_silent_is_given_up_for_all(monkeypatch):
    """Once one request has no answer in time, those under way are not waited for, and no other is sent."""
    monkeypatch.setattr(exchanges, "TIMEOUT_SECONDS", 0.5)
    paths = [f"/{number}" for number in range(3 * UNDER_WAY)]
    with serving(lambda path, before: b"") as (endpoint, asked):
        assert ask(endpoint, *paths) == [None] * len(paths)
    assert sum(map(len, asked)) <= UNDER_WAY


def test_whoever_stops_leaves_no_connection_open():
    """Those of requests whose answers nobody takes are closed, so that none is read for another request."""
    with serving(lambda path, before: say(path)) as (endpoint, _):
        answers = endpoint.exchange_all((Request("GET", f"/{number}", {}) for number in range(20)), 100)
        assert next(answers) is not None
        answers.close()
        assert ask(endpoint, "/last") == ["/last"]
