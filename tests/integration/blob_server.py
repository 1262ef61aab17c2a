"""Blob storage as the runner of bundles sees it."""

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Storage(ThreadingHTTPServer):
    """A blob store that can be told to fail: blobs by name, and how often a name is refused, with what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.blobs: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.refusals: dict[str, list[int]] = {}
        self.in_between: dict[str, list[int]] = {}
        """With what a gateway answers by itself, by the blob's name."""
        self.asked: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Storage

    def parse_request(self) -> bool:
        """Let a gateway answer, if one is to; False then ends the request."""
        if not super().parse_request():
            return False
        statuses = self.server.in_between.get(unquote(urlsplit(self.path).path).lstrip("/"))
        if not statuses:
            return True
        self.close_connection = True
        self.answer(statuses.pop(0), b"<html>Sign in</html>", mark=None)
        return False

    def do_GET(self) -> None:
        name, status = self.look()
        found = self.server.blobs.get(name)
        self.answer(status or (404 if found is None else 200), found or b"")

    def do_PUT(self) -> None:
        name, status = self.look()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        query = parse_qs(urlsplit(self.path).query)
        if not status:
            self.keep(name, content, query)
        self.answer(status or 201, b"")

    def keep(self, name: str, content: bytes, query: dict[str, list[str]]) -> None:
        blocks = self.server.blobs
        if query.get("comp") == ["block"]:
            blocks[f"{name}#{query['blockid'][0]}"] = content
            return
        if query.get("comp") == ["blocklist"]:
            ids = [part.partition("<")[0] for part in content.decode().split("<Latest>")[1:]]
            content = b"".join(blocks.pop(f"{name}#{block}") for block in ids)
        blocks[name] = content
        self.server.headers[name] = {key.lower(): value for key, value in self.headers.items()}

    def look(self) -> tuple[str, int]:
        """The blob's name, and a status to refuse it with; each request has its signature."""
        parts = urlsplit(self.path)
        name = unquote(parts.path).lstrip("/")
        self.server.asked[f"{self.command} {name}"] += 1
        refusals = self.server.refusals.get(name, [])
        return name, 403 if "sig=secret" not in parts.query else refusals.pop(0) if refusals else 0

    def answer(self, status: int, content: bytes, mark: str | None = "x-ms-request-id") -> None:
        self.send_response(status)
        if mark:
            self.send_header(mark, "1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass
