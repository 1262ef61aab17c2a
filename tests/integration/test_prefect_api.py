"""The few requests to Prefect's server that are made without Prefect, to a server that is busy."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deployments.local.prefect_api import PrefectApi, request


@contextmanager
def server(*statuses: int) -> Iterator[int]:
    """The port of a server that gives its first answers these statuses, and wants a token for a POST."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: object = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(left.pop(0) if left else status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer(200, {"token": "t"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(201 if self.headers["Prefect-Csrf-Token"] == "t" else 403, "made")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield serving.server_address[1]
        finally:
            serving.shutdown()
            thread.join()


@pytest.mark.parametrize("statuses", [(), (503,), (500, 503), (200, 503)])
def test_a_busy_server_is_asked_again(statuses):
    """For the token, too, without which it would refuse what it is asked for."""
    with server(*statuses) as port:
        assert request(PrefectApi(port, "a:b"), "POST", "/api/work_pools/", {}) == (201, "made")


def test_a_server_that_gives_no_token_is_told_by_its_answer():
    """A request is not made without one, to be refused for that."""
    with server(401) as port:
        assert request(PrefectApi(port, "a:b"), "POST", "/api/work_pools/", {}) == (401, None)
