"""Hosts whose address the system looks for without end: no call waits for that longer than it may."""

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from tasks.azure.exchanges import Connection
from tasks.azure.patience import PatientAdapter
from tasks.base.limits import open_within

HOST = "a-name-that-nobody-answers.test"


@pytest.fixture
def hanging_names(monkeypatch):
    """The search for that host's address ends with the test."""
    found, search = threading.Event(), socket.getaddrinfo

    def hang(host, *args, **options):
        if host == HOST:
            found.wait(60)
        return search(host, *args, **options)

    monkeypatch.setattr("socket.getaddrinfo", hang)
    yield
    found.set()


@pytest.mark.parametrize(
    "proxies", [{}, {"http": f"http://{HOST}:3128"}, {"http": f"socks5h://{HOST}:1080"}], ids=str
)
def test_a_request_does_not_wait_for_a_name_beyond_its_timeout(hanging_names, proxies):
    """Neither for the service's nor for a proxy's, also one of Socks."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PatientAdapter(max_retries=0))
        with pytest.raises(requests.ConnectionError, match=r"No connection within 0\.2 s"):
            session.get(f"http://{HOST}/", proxies=proxies, timeout=0.2)


def test_a_small_request_does_not_either(hanging_names, monkeypatch):
    """These have connections of their own."""
    monkeypatch.setattr("tasks.azure.exchanges.TIMEOUT_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match=r"No connection within 0\.2 s"):
        Connection(urlsplit(f"http://{HOST}/"))


def test_what_is_opened_too_late_is_closed():
    """Nobody else could close it."""
    may_open, closed = threading.Event(), threading.Event()

    class Late:
        def close(self):
            closed.set()

    def open_late():
        may_open.wait(60)
        return Late()

    with pytest.raises(TimeoutError):
        open_within(0.05, open_late)
    may_open.set()
    assert closed.wait(60)


def test_why_nothing_could_be_opened_is_told():
    """As if there were no thread between."""

    def fail():
        raise ConnectionRefusedError("refused")

    with pytest.raises(ConnectionRefusedError, match="refused"):
        open_within(60, fail)
