"""`python -m batch_emulator`: the local Batch service as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from batch_emulator.server import running
from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY, DEFAULT_PORT, Settings
from batch_emulator.simulation import Simulation, parse_simulation


def main() -> int:
    """Serve until SIGINT or SIGTERM; 1 where it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(read_settings(sys.argv[1:])))
    except (OSError, ValueError) as error:
        print(f"The local Batch service cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def read_settings(arguments: list[str]) -> Settings:
    """Settings from command line arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m batch_emulator",
        description="A local Azure Batch service. It listens on 127.0.0.1 only.",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="TCP port, 0 for a free one (%(default)s)"
    )
    parser.add_argument("--account", default=DEFAULT_ACCOUNT, help="name of the Batch account (%(default)s)")
    parser.add_argument("--key", default=DEFAULT_KEY, help="its key, base64 (a well-known one)")
    parser.add_argument("--location", type=Path, help="folder for the nodes (a temporary one)")
    parser.add_argument("--speed", type=float, default=1.0, help="seconds of the service in a real second")
    parser.add_argument(
        "--simulate",
        nargs="?",
        const=Simulation(),
        type=parse_simulation,
        metavar="fixed|uniform|exponential[:SECONDS[:FAILURE_RATE]]",
        help="run no process: tasks take a second, or as long as this says",
    )
    given = parser.parse_args(arguments)
    return Settings(
        port=given.port,
        account=given.account,
        key=given.key,
        location=given.location,
        speed=given.speed,
        simulate=given.simulate,
    )


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as account:
        print(f"Azure Batch (local) is ready at {account.endpoint}, account {account.name}", flush=True)
        await stopping.wait()


if __name__ == "__main__":
    sys.exit(main())
