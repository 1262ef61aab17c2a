"""A service in the event loop of whoever asks, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from batch_emulator.app import create_app
from batch_emulator.engine.engine import Engine
from batch_emulator.node.process_runner import ProcessRunner
from batch_emulator.settings import Settings
from tests.api.wire import URL, Wire

#: Everything that takes time on the service takes next to none.
FAST = Settings(
    node_allocation_seconds=0.01,
    node_boot_seconds=0.01,
    node_reboot_seconds=0.01,
    node_removal_seconds=0.01,
    deletion_seconds=0.01,
    job_transition_seconds=0.01,
)


@asynccontextmanager
async def serve(folder: Path, settings: Settings = FAST) -> AsyncIterator[Wire]:
    """A service that keeps the files of its nodes in this folder."""
    engine = Engine(settings, ProcessRunner(folder), URL)
    transport = httpx.ASGITransport(app=create_app(engine))
    try:
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            yield Wire(client)
    finally:
        await engine.close()
