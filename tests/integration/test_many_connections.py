"""Connections whose client sends nothing, or half a request, keep nobody else out."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from batch_emulator import DEFAULT_ACCOUNT, DEFAULT_KEY
from batch_emulator.connections import GatheringProtocol, close_overdue
from bench.signing import open_account
from deployments.processes import free_port
from tests.waiting import wait_until

LIMIT = 1024
"""Descriptors of the service, of which connections get three quarters."""
IDLE = 1300
SERVICE = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
from batch_emulator.__main__ import main
sys.argv = ["batch_emulator", "--port", sys.argv[1]]
main()
"""
POOL = {
    "id": "pool",
    "vmSize": "standard_d2s_v3",
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
        "nodeAgentSKUId": "batch.node.ubuntu 24.04",
    },
    "targetDedicatedNodes": 1,
}


@contextlib.contextmanager
def service() -> Iterator[int]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SERVICE, str(port)]) as process:
        try:
            wait_until(lambda: is_open(port), 30, "the service")
            yield port
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def send_half_a_request(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    # The service may have closed it by then.
    with contextlib.suppress(OSError):
        connection.sendall(b"POST /pools HTTP/1.1\r\nContent-Length: 10\r\n")
    return connection


def test_more_idle_connections_than_descriptors():
    """A task runs to its end while more connections were opened than the service may have descriptors; as
    many half requests are closed as there are too many."""
    with service() as port, contextlib.ExitStack() as held:
        halves = [held.enter_context(send_half_a_request(port)) for _ in range(IDLE)]
        run_task(port)
        assert len([one for one in halves if is_closed(one)]) >= IDLE - LIMIT * 3 // 4


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """This process holds the other ends of all connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2 * IDLE), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def run_task(port: int) -> None:
    with open_account(f"http://127.0.0.1:{port}", DEFAULT_ACCOUNT, DEFAULT_KEY, timeout=60) as client:
        client.post("/pools", json=POOL).raise_for_status()
        client.post("/jobs", json={"id": "job", "poolInfo": {"poolId": "pool"}}).raise_for_status()
        client.post("/jobs/job/tasks", json={"id": "1", "commandLine": "/bin/true"}).raise_for_status()
        wait_until(lambda: state(client) == "completed", 30, "end of the task")
        assert client.get("/jobs/job/tasks/1").json()["executionInfo"]["result"] == "success"


def state(client) -> str:
    return client.get("/jobs/job/tasks/1").json()["state"]


class Client(asyncio.Transport):
    """A client's end, as the service sees it."""

    ended = False

    def write(self, data: bytes) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/slow":
        await asyncio.Event().wait()
    await Response()(scope, receive, send)


HEAD = b"HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "ends"),
    [
        pytest.param(b"", True, id="nothing"),
        pytest.param(b"GET / HT", True, id="half a head"),
        pytest.param(b"POST /slow " + HEAD + b"Content-Length: 10\r\n\r\n12345", True, id="half a body"),
        pytest.param(b"GET / " + HEAD + b"\r\n", True, id="a request that was answered"),
        pytest.param(b"GET /slow " + HEAD + b"\r\n", False, id="a request that is being answered"),
    ],
)
async def test_connection_without_a_whole_request_ends(sent, ends):
    """After two minutes without a whole request a connection is closed, and not before; an answer may take
    any time."""
    protocol, client = connect()
    if sent:
        protocol.data_received(sent)
    await asyncio.sleep(0)
    now = protocol.loop.time()
    close_overdue(protocol.connections, now + 119)
    assert not client.ended
    close_overdue(protocol.connections, now + 121)
    assert client.ended is ends
    for task in [*protocol.tasks]:
        task.cancel()


@pytest.mark.parametrize("before", [b"", b"GET / " + HEAD + b"\r\n"], ids=["opened", "answered"])
async def test_request_has_its_time_from_its_own_beginning(before):
    """However long its connection was idle, a request that comes in parts is not cut off between them; and no
    further part of it gives it more time."""
    protocol, client = connect()
    if before:
        protocol.data_received(before)
        await asyncio.gather(*protocol.tasks)
    protocol.idle_since -= 1000
    protocol.data_received(b"POST / " + HEAD)
    began = protocol.loop.time()
    close_overdue(protocol.connections, began + 119)
    assert not client.ended
    protocol.idle_since -= 60
    protocol.data_received(b"Content-Length: 10\r\n\r\n12345")
    close_overdue(protocol.connections, began + 59)
    assert not client.ended
    close_overdue(protocol.connections, began + 61)
    assert client.ended
    for task in [*protocol.tasks]:
        task.cancel()


def connect() -> tuple[GatheringProtocol, Client]:
    """A new connection, as the service sees it, and its client's end."""
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    client = Client()
    protocol = GatheringProtocol(config, ServerState(), {})
    protocol.connection_made(client)
    return protocol, client
