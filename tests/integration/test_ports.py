"""The ports of local stacks that start at once."""

import socket

import pytest

from deployments.errors import StartError
from deployments.local.settings import BATCH_PORT, PREFECT_PORT, STORAGE_PORT
from deployments.local.stack import reserved_ports
from deployments.processes import free_port


def test_two_stacks_never_choose_the_same_ports(tmp_path, monkeypatch):
    """Before any listens; who comes second has others, and after it the usual ones are free again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("deployments.local.stack.free_port", lambda preferred=0: preferred or free_port())
    with reserved_ports(None, None, None) as first, reserved_ports(None, None, None) as second:
        assert first == (STORAGE_PORT, BATCH_PORT, PREFECT_PORT)
        assert not set(first) & set(second)
    asked = free_port()
    with reserved_ports(asked, None, None) as again:
        assert again == (asked, BATCH_PORT, PREFECT_PORT)


def test_a_port_that_is_asked_for_and_taken_is_told():
    """Another is not taken in its place."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(StartError, match="is in use"), reserved_ports(None, taken, None):
            pass
