"""A proxy before a service, which lets the requests of a run meet an outage.

It passes on whatever it gets, and knows no service. What nodes ask for with a signature of their own is left
alone, as an outage that the nodes have too is no matter of the driver's.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.waiting import wait_until
from tests.weather import PAGES, Outage, Weather

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Sent:
    """All of a request."""

    line: str
    headers: str
    body: bytes

    @property
    def is_of_node(self) -> bool:
        """Nodes sign by the signatures that they were given."""
        return "sig=" in self.line


class FaultyProxy:
    """Listens on a port of its own, for as long as the block of `before` lasts."""

    def __init__(self, upstream: str):
        self.upstream = urlsplit(upstream)
        self.outage: Outage | None = None
        self.weather: Weather | None = None
        self.requests: list[str] = []
        self.dates: list[str] = []
        self.sent: list[Sent] = []
        self.closed = threading.Event()
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self, outage: Outage) -> Outage:
        self.outage = outage
        return outage

    def recover(self) -> None:
        """End the outage, if there is one."""
        outage, self.outage = self.outage, None
        if outage is not None:
            outage.over.set()
            wait_until(self.is_listening, 10, "listener")

    def is_listening(self) -> bool:
        return self.listener.fileno() != -1

    def meet(self, request: str) -> Outage | None:
        """The outage, if this request meets it."""
        with self.lock:
            self.requests.append(request)
            is_of_node = "sig=" in request
            if self.weather is not None and not is_of_node:
                return self.weather.draw(request)
            if self.outage is None or is_of_node or not self.outage.meets(request):
                return None
            if self.outage.kind == "refuse":
                # Wakes the thread that accepts.
                with suppress(OSError):
                    self.listener.shutdown(socket.SHUT_RDWR)
            return self.outage

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                connection, address = self.listener.accept()
            except OSError:
                self._stay_away()
                continue
            self.connections.add(connection)
            thread = threading.Thread(target=self._handle, args=(connection, address), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _stay_away(self) -> None:
        """Let nobody connect for as long as the outage lasts."""
        self.listener.close()
        if self.outage is not None:
            self.outage.wait()
        if not self.closed.is_set():
            self.listener = socket.create_server(("127.0.0.1", self.port))

    def _handle(self, connection: socket.socket, address: tuple[str, int]) -> None:
        with suppress(OSError, http.client.HTTPException):
            _Handler(connection, address, self)
        self.connections.discard(connection)
        connection.close()

    def close(self) -> None:
        self.closed.set()
        if self.outage is not None:
            self.outage.over.set()
        for one in [self.listener, *self.connections]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        self.listener.close()


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client's."""

    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def setup(self) -> None:
        super().setup()
        upstream = self.server.upstream
        self.upstream = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=120)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.sent.append(Sent(f"{self.command} {self.path}", str(self.headers), body))
        if date := self.headers.get("ocp-date"):
            self.server.dates.append(date)
        outage = self.server.meet(f"{self.command} {self.path}")
        if outage is not None and outage.kind.startswith("slow"):
            self.pass_on(body, outage)
        elif outage is not None:
            self.fail(outage)
        elif self.headers.get("Upgrade"):
            self.splice()
        else:
            self.pass_on(body)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def fail(self, outage: Outage) -> None:
        if outage.kind in ("refuse", "silent", "reset"):
            if outage.kind == "silent":
                outage.wait()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close_connection = True
            return
        media_type, page = PAGES.get(outage.kind[4:], ("", b""))
        self.send_response(int(outage.kind[:3]))
        if page:
            self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page)

    def pass_on(self, body: bytes, outage: Outage | None = None) -> None:
        """By an outage a part of the answer comes a byte at a time, for as long as that lasts."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        self.upstream.request(self.command, self.path, body or None, headers | self.host())
        answer = self.upstream.getresponse()
        content = answer.read()
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if length is not None and answer.status not in (204, 304):
            self.send_header("Content-Length", length)
        if outage is not None and outage.kind == "slow head":
            self.trickle(b"".join(self._headers_buffer), outage)
            self._headers_buffer = []
        self.end_headers()
        if outage is not None and outage.kind == "slow body":
            self.trickle(content, outage)
        else:
            self.wfile.write(content)

    def trickle(self, content: bytes, outage: Outage) -> None:
        for byte in content:
            self.wfile.write(bytes([byte]))
            outage.over.wait(min(0.1, outage.seconds_left))

    def host(self) -> dict[str, str]:
        """Prefect's server takes no other name than its own."""
        return {"Host": self.server.upstream.netloc}

    def splice(self) -> None:
        """Pass on a websocket, byte for byte."""
        self.close_connection = True
        upstream = self.server.upstream
        with socket.create_connection((upstream.hostname or "", upstream.port or 80)) as other:
            headers = {**self.headers, **self.host()}
            head = [self.requestline, *(f"{name}: {value}" for name, value in headers.items())]
            other.sendall("\r\n".join([*head, "", ""]).encode("latin-1"))
            back = threading.Thread(target=_pump, args=(other, self.connection), daemon=True)
            back.start()
            _pump(self.connection, other)
            back.join()

    def log_message(self, format: str, *args: object) -> None:
        pass


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(upstream: str) -> Iterator[FaultyProxy]:
    """A proxy before the service of that URL."""
    proxy = FaultyProxy(upstream)
    proxy.threads[0].start()
    try:
        yield proxy
    finally:
        proxy.close()
