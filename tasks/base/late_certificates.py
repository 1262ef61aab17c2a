"""Certificates of the public authorities, read by a TLS context when it is first used.

Prefect, and what it imports, make half a dozen contexts before a run's first request, of which a run on plain
HTTP uses none and one on Azure two. Each would read the certificates, which takes 50 ms of processor time.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import certifi

READERS = ("load_verify_locations", "set_default_verify_paths")

_reading, _changing = Lock(), Lock()
_blocks: list[None] = []
"""One for each block that is under way: they may overlap, in several threads."""


@contextmanager
def certificates_read_late() -> Iterator[None]:
    """Have contexts that are made in this block read them late. Other files are read at once: what is wrong
    with one of somebody's own is told where it is named."""
    with _changing:
        if not _blocks:
            for name in READERS:
                setattr(ssl.SSLContext, name, _make_late(getattr(ssl.SSLContext, name)))
        _blocks.append(None)
    try:
        yield
    finally:
        with _changing:
            _blocks.pop()
            if not _blocks:
                for name in READERS:
                    delattr(ssl.SSLContext, name)


def _make_late(read: Callable[..., None]) -> Callable[..., None]:
    def read_late(context: ssl.SSLContext, *args: Any, **names: Any) -> None:
        files = {*args, *names.values()} - {None}
        if type(context) not in (ssl.SSLContext, _Late) or not files <= _find_bundles():
            read(context, *args, **names)
            return
        context.__dict__.setdefault("unread", []).append(lambda: read(context, *args, **names))
        context.__class__ = _Late

    return read_late


@cache
def _find_bundles() -> set[str | None]:
    """The files of the machine and of Python's packages in which these are."""
    return {certifi.where(), ssl.get_default_verify_paths().cafile}


class _Late(ssl.SSLContext):
    """One that has not read them; it becomes an ordinary one as soon as it does."""

    def wrap_socket(self, *args: Any, **names: Any) -> ssl.SSLSocket:
        return _read(self).wrap_socket(*args, **names)

    def wrap_bio(self, *args: Any, **names: Any) -> ssl.SSLObject:
        return _read(self).wrap_bio(*args, **names)

    def get_ca_certs(self, *args: Any, **names: Any) -> Any:
        return _read(self).get_ca_certs(*args, **names)

    def cert_store_stats(self) -> dict[str, int]:
        return _read(self).cert_store_stats()


def _read(context: ssl.SSLContext) -> ssl.SSLContext:
    # Two threads may connect by one context.
    with _reading:
        for read in context.__dict__.pop("unread", []):
            read()
        context.__class__ = ssl.SSLContext
    return context
