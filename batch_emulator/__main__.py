"""`python -m batch_emulator`: the local Batch service as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

from batch_emulator.faults.rules import Faults
from batch_emulator.logs import set_up_log
from batch_emulator.node.simulation import Simulation, parse_simulation
from batch_emulator.server import running
from batch_emulator.settings import (
    CONTAINERS,
    DEFAULT_ACCOUNT,
    DEFAULT_KEY,
    DEFAULT_PORT,
    KEY_VARIABLE,
    PACES,
    Settings,
)


def main() -> int:
    """Serve until SIGINT or SIGTERM; 1 where it cannot start."""
    # Whole collections look at every task there is, a second for a million, and find nothing: what the
    # service keeps has no cycles.
    gc.set_threshold(50_000, 20, 100)
    try:
        settings = read_settings(sys.argv[1:])
        asyncio.run(_serve(settings))
    except (OSError, ValueError) as error:
        print(f"The local Batch service cannot start: {error}", file=sys.stderr)
        return 1
    return 0


def read_settings(arguments: list[str]) -> Settings:
    """Settings from arguments and the key's variable. ValueError for a file of faults that is none."""
    given = vars(_parser().parse_args(arguments))
    set_up_log(logging.DEBUG if given.pop("debug") else logging.INFO)
    if faults := given.pop("faults"):
        given["faults"] = Faults.model_validate_json(faults.read_bytes())
    # Taken away, so that nothing that is started from here has it.
    return Settings(**given, key=os.environ.pop(KEY_VARIABLE, DEFAULT_KEY))


def _parser() -> argparse.ArgumentParser:
    """Each option but `--debug` and `--faults` is a field of `Settings`."""
    parser = argparse.ArgumentParser(
        prog="azure-batch-emulator",
        description="A local Azure Batch service. It listens on 127.0.0.1 only, unless told otherwise.",
        epilog=f"The account's key, base64, is taken from {KEY_VARIABLE} (by default a well-known one).",
        allow_abbrev=False,
    )
    _add_address(parser)
    _add_nodes(parser)
    parser.add_argument("--faults", type=Path, help="JSON file that says what is to go wrong")
    parser.add_argument("--debug", action="store_true", help="log each request")
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    """Where the account is, and who may ask."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=DEFAULT_PORT, help="TCP port, 0 for a free one (%(default)s)")
    add("--account", default=DEFAULT_ACCOUNT, help="name of the Batch account (%(default)s)")
    add("--cert", dest="certificate", type=Path, help="PEM certificate, to serve HTTPS")
    add("--key-file", dest="certificate_key", type=Path, help="PEM private key of --cert")
    add("--oauth", choices=["basic"], help="take Microsoft Entra access tokens too")


def _add_nodes(parser: argparse.ArgumentParser) -> None:
    """How nodes run their tasks, and how fast."""
    add = parser.add_argument
    add("--location", type=Path, help="folder for the nodes and kept state (a temporary one)")
    add("--speed", type=float, default=1.0, help="seconds of the service in a real second")
    add("--pace", choices=[*PACES], default="person", help="times of nodes, pools and jobs (%(default)s)")
    add(
        "--simulate",
        nargs="?",
        const=Simulation(),
        type=parse_simulation,
        metavar="fixed|uniform|exponential[:SECONDS[:FAILURE_RATE]]",
        help="run no process: tasks take a second, or as long as this says",
    )
    add(
        "--containers",
        nargs="?",
        choices=CONTAINERS,
        const="engine",
        default="refuse",
        help="run container tasks by the Docker or Podman that is here; host: as processes (%(default)s)",
    )


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # As `nohup` has it ignored.
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as account:
        print(f"Azure Batch (local) is ready at {account.endpoint}, account {account.name}", flush=True)
        await stopping.wait()


if __name__ == "__main__":
    sys.exit(main())
