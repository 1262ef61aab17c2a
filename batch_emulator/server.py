"""A running local Batch service: in a thread for tests (`serve`), or as the process (`run`)."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import uvicorn

from batch_emulator.app import create_app
from batch_emulator.connections import GatheringProtocol, close_half_asked, close_overdue
from batch_emulator.engine.engine import Engine
from batch_emulator.engine.journal import Journal
from batch_emulator.node.containers import find_engine, remove_abandoned
from batch_emulator.node.launch import Runner
from batch_emulator.node.process_runner import ProcessRunner
from batch_emulator.node.simulated_runner import SimulatedRunner
from batch_emulator.settings import Settings, check

_TIDYING_SECONDS = 5.0
_BACKLOG = 2048
# What is not gone by then ends with the event loop.
_ABORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Account:
    """What a client needs to know. `endpoint` is a URL; `key` base64; `location` holds the nodes' folders;
    `certificate` is the PEM file to trust, where the endpoint is HTTPS."""

    name: str
    key: str = field(repr=False)
    endpoint: str
    location: Path
    certificate: Path | None = None


@contextlib.contextmanager
def serve(settings: Settings | None = None, **changes: Any) -> Iterator[Account]:
    """A local Batch service on a free port until the block ends.

    `changes` are fields of `Settings`. At the end everything that runs is stopped, and the node folders are
    removed unless `location` was given. Raises OSError where the port cannot be had.
    """
    wanted = replace(settings or Settings(port=0), **changes)
    started = _Started()
    thread = threading.Thread(target=started.run, args=(wanted,), name="batch-emulator", daemon=True)
    thread.start()
    try:
        yield started.account()
    finally:
        started.stop()
        thread.join()


class _Started:
    """Hands what happens in the service's thread to the one that waits for it."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._account: Account | None = None
        self._error: BaseException | None = None
        self._stopping: Callable[[], object] = lambda: None

    def run(self, settings: Settings) -> None:
        try:
            asyncio.run(self._run(settings))
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _run(self, settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        self._stopping = lambda: loop.call_soon_threadsafe(stopping.set)
        async with running(settings) as account:
            self._account = account
            self._ready.set()
            await stopping.wait()

    def account(self) -> Account:
        self._ready.wait()
        if self._account is None:
            raise self._error or RuntimeError("the local Batch service did not start")
        return self._account

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._stopping()


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Account]:
    """The service in this event loop until the block ends."""
    check(settings)
    _check_certificate(settings)
    with contextlib.closing(_listen(settings)) as listener, _location(settings) as location:
        endpoint = _endpoint(settings, listener.getsockname()[1])
        journal = _open_journal(settings, location)
        engine = Engine(settings, _make_runner(settings, location), endpoint, journal)
        server = _Server(_config(engine))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        tidying = asyncio.create_task(_close_overdue(server))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            listener.listen(_BACKLOG)
            yield Account(settings.account, settings.key, endpoint, location, settings.certificate)
        finally:
            server.should_exit = True
            tidying.cancel()
            close_half_asked(_list_connections(server))
            try:
                await serving
                await _abort_connections(server)
            finally:
                await engine.close()


def _check_certificate(settings: Settings) -> None:
    if settings.certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.certificate_key)
    except OSError as error:
        raise ValueError(f"the certificate or its private key cannot be used: {error}") from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family)
    # Without this the second part of a long answer waits for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _endpoint(settings: Settings, port: int) -> str:
    """The URL for clients on this machine, which cannot connect to "all addresses"."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Leaves signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _close_overdue(server: uvicorn.Server) -> None:
    while True:
        await asyncio.sleep(_TIDYING_SECONDS)
        close_overdue(_list_connections(server), asyncio.get_running_loop().time())


def _list_connections(server: uvicorn.Server) -> set[GatheringProtocol]:
    return cast("set[GatheringProtocol]", server.server_state.connections)


async def _abort_connections(server: uvicorn.Server) -> None:
    """End those whose client keeps its end open and does not say goodbye, as TLS would have it."""
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    ends_at = asyncio.get_running_loop().time() + _ABORT_SECONDS
    while server.server_state.connections and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(0.001)


def _config(engine: Engine) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(engine),
        http=GatheringProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        # asyncio takes so many at once, before any can be closed; how many may wait is said later.
        backlog=32,
        ssl_certfile=engine.settings.certificate,
        ssl_keyfile=engine.settings.certificate_key,
    )


def _make_runner(settings: Settings, location: Path) -> Runner:
    if settings.simulate is None:
        return ProcessRunner(
            location,
            stop_grace_seconds=settings.stop_grace_seconds,
            keeps=settings.location is not None,
            engine=_find_engine(settings),
        )
    return SimulatedRunner(settings.simulate, speed=settings.speed)


def _find_engine(settings: Settings) -> str | None:
    if not settings.runs_containers:
        return None
    engine = find_engine(settings.containers)
    remove_abandoned(engine)
    return engine


def _open_journal(settings: Settings, location: Path) -> Journal | None:
    """What an earlier process kept. That it can be opened says that this is gone."""
    return None if settings.location is None else Journal(location / "state.db")


@contextlib.contextmanager
def _location(settings: Settings) -> Iterator[Path]:
    if settings.location is not None:
        settings.location.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield settings.location.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="batch-emulator-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
