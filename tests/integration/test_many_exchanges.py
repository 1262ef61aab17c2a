"""Many small requests at once, in one thread, to endpoints that answer as they like."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tasks.azure import exchanges
from tasks.azure.exchanges import UNDER_WAY, Endpoint, Request


@contextmanager
def serving(answer: Callable[[str, int], bytes | None]) -> Iterator[tuple[Endpoint, list[str]]]:
    """An endpoint that gives each request what `answer` makes of its path and of how many came before over
    its connection, and closes the connection where that is None; the paths of all requests."""
    listener, seen, threads = socket.create_server(("127.0.0.1", 0)), list[str](), list[threading.Thread]()

    def serve(connection: socket.socket) -> None:
        # Whoever asked may be gone.
        with connection, suppress(ConnectionError):
            for before in range(1000):
                if not (head := connection.recv(65536)):
                    return
                path = head.split(b" ")[1].decode()
                seen.append(path)
                if (said := answer(path, before)) is None:
                    return
                connection.sendall(said)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=[connection]))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    endpoint = Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield endpoint, seen
    finally:
        endpoint.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join()


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
    with serving(answer) as (endpoint, seen):
        assert ask(endpoint, *paths, None) == [*paths, None]
    assert sorted(seen) == sorted(paths)


def test_those_whose_connection_was_closed_are_asked_again():
    """A connection that gave an answer before may be closed by the next request, which goes over a
    new one then."""
    paths = [f"/{number}" for number in range(4 * UNDER_WAY)]
    with serving(lambda path, before: say(path) if before < 2 else None) as (endpoint, seen):
        assert ask(endpoint, *paths) == paths
    assert len(seen) > len(paths)


def test_one_that_is_unusual_is_left_to_the_other_client():
    """It takes none of the others with it, and is asked for once, also over a connection that was kept."""
    paths = [f"/{number}" for number in range(3 * UNDER_WAY)]
    long = paths[2 * UNDER_WAY]
    with serving(lambda path, before: say("x" * 101 if path == long else path)) as (endpoint, seen):
        assert ask(endpoint, *paths) == [None if path == long else path for path in paths]
    assert seen.count(long) == 1


def test_an_endpoint_that_is_silent_is_given_up_for_all(monkeypatch):
    """Once one request has no answer in time, those under way are not waited for, and no other is sent."""
    monkeypatch.setattr(exchanges, "TIMEOUT_SECONDS", 0.5)
    paths = [f"/{number}" for number in range(3 * UNDER_WAY)]
    with serving(lambda path, before: b"") as (endpoint, seen):
        assert ask(endpoint, *paths) == [None] * len(paths)
    assert len(seen) <= UNDER_WAY


def test_whoever_stops_leaves_no_connection_open():
    """Those of requests whose answers nobody takes are closed, so that none is read for another request."""
    with serving(lambda path, before: say(path)) as (endpoint, _):
        answers = endpoint.exchange_all((Request("GET", f"/{number}", {}) for number in range(20)), 100)
        assert next(answers) is not None
        answers.close()
        assert ask(endpoint, "/last") == ["/last"]
