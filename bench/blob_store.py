"""A blob store that keeps nothing: what a client of storage costs when storage costs next to nothing.

`python -m bench.blob_store [SIZE_BYTES]` prints its address. It knows the containers that were made; every
blob that is written is forgotten, every one that is read has the same content of that size. `GET /-/counts`
says how many requests came, by kind. It checks no signature.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import sys
from collections import Counter
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

_CONTENT = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RANGE = re.compile(rb"\r\n(?:x-ms-)?range: *bytes=(\d+)-(\d*)", re.IGNORECASE)
_METADATA = re.compile(rb"\r\n(x-ms-meta-[^:]+): *([^\r]*)", re.IGNORECASE)
_EMPTY_LIST = (
    b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="" ContainerName="">'
    b"<Blobs /><NextMarker /></EnumerationResults>"
)


class Store:
    """The containers that there are, and how many requests came of each kind."""

    def __init__(self, size_bytes: int = 200) -> None:
        self.content = bytes(97 + number % 26 for number in range(min(size_bytes, 1 << 20)))
        self.content *= max(1, size_bytes // max(1, len(self.content)))
        self.md5 = base64.b64encode(hashlib.md5(self.content, usedforsecurity=False).digest())
        self.containers: dict[str, bytes] = {}
        self.counts: Counter[str] = Counter()

    def answer(self, head: bytes) -> bytes:
        """The answer to a request, from its line and its headers."""
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if target == "/-/counts":
            return _answer(200, json.dumps(self.counts).encode())
        parts = urlsplit(target)
        _, _, container, blob = (*parts.path.split("/", 3), "", "")[:4]
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if blob:
            return self._answer_blob(method, query, head)
        return self._answer_container(method, query, unquote(container), head)

    def _answer_blob(self, method: str, query: dict[str, str], head: bytes) -> bytes:
        self.counts[f"{method} {query.get('comp', 'blob')}"] += 1
        if method == "GET":
            return self._read(head)
        if method == "HEAD":
            return _refuse(404, "BlobNotFound", has_body=False)
        return _answer(201, b"", b'ETag: "0x1"\r\n')

    def _read(self, head: bytes) -> bytes:
        size, wanted = len(self.content), _RANGE.search(head)
        headers = b'ETag: "0x1"\r\nContent-Type: application/octet-stream\r\nx-ms-blob-type: BlockBlob\r\n'
        if wanted is None:
            return _answer(200, self.content, headers + b"Content-MD5: %s\r\n" % self.md5)
        first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
        headers += b"Content-Range: bytes %d-%d/%d\r\nx-ms-blob-content-md5: %s\r\n" % (
            first,
            last,
            size,
            self.md5,
        )
        return _answer(206, self.content[first : last + 1], headers)

    def _answer_container(self, method: str, query: dict[str, str], name: str, head: bytes) -> bytes:
        self.counts[f"{method} container {query.get('comp', '')}".strip()] += 1
        if query.get("comp") == "list":
            return _answer(200, _EMPTY_LIST, b"Content-Type: application/xml\r\n")
        if method == "PUT" and "comp" in query and name in self.containers:
            self.containers[name] = _read_metadata(head)
            return _answer(200, b"", b'ETag: "0x2"\r\n')
        if method == "PUT":
            if name in self.containers:
                return _refuse(409, "ContainerAlreadyExists")
            self.containers[name] = _read_metadata(head)
            return _answer(201, b"", b'ETag: "0x1"\r\n')
        if name not in self.containers:
            return _refuse(404, "ContainerNotFound", has_body=method != "HEAD")
        if method == "DELETE":
            del self.containers[name]
            return _answer(202, b"")
        return _answer(200, b"", b'ETag: "0x1"\r\n' + self.containers[name])


def _read_metadata(head: bytes) -> bytes:
    return b"".join(b"%s: %s\r\n" % found for found in _METADATA.findall(head))


def _answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    now = formatdate(usegmt=True).encode()
    return (
        b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nLast-Modified: %s\r\n"
        b"x-ms-request-id: 0\r\nx-ms-version: 2024-01-01\r\n%s\r\n%s"
        % (
            status,
            len(body),
            now,
            headers,
            body,
        )
    )


def _refuse(status: int, code: str, *, has_body: bool = True) -> bytes:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
    headers = b"x-ms-error-code: %s\r\nContent-Type: application/xml\r\n" % code.encode()
    return _answer(status, body if has_body else b"", headers)


class Connection(asyncio.Protocol):
    """One connection: requests one after another, whose bodies are dropped as they come."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.buffer = b""
        self.head = b""
        self.missing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            if self.missing_bytes:
                taken = min(self.missing_bytes, len(data))
                self.missing_bytes, data = self.missing_bytes - taken, data[taken:]
            else:
                data = self._read_head(data)
            if self.head and not self.missing_bytes:
                answer, self.head = self.store.answer(self.head), b""
                self.transport.write(answer)

    def _read_head(self, data: bytes) -> bytes:
        """Take the next request's headers; what comes after them."""
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return b""
        self.buffer, self.head = b"", head + b"\r\n"
        found = _CONTENT.search(self.head)
        self.missing_bytes = int(found[1]) if found else 0
        if b"100-continue" in head:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return rest


async def _serve(size_bytes: int) -> None:
    store = Store(size_bytes)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(store), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(_serve(*map(int, sys.argv[1:2] or ["200"])))
    except KeyboardInterrupt:
        pass
