"""The order of the local stack: install what is missing, start, deploy, run, stop."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deployments import azurite
from deployments.errors import StartError
from deployments.local import database, services
from deployments.local.settings import (
    BATCH_PORT,
    PREFECT_PORT,
    REPOSITORY,
    STORAGE_PORT,
    Settings,
    base_environment,
)
from deployments.locks import locked_at_once
from deployments.private_files import make_private_folder
from deployments.processes import Command, free_port, is_free
from deployments.supervisor import Supervisor, supervised

LOCK = "lock"
TEMPORARY_PREFIX = "prefect-azure-batch-local-"
Say = Callable[[str], None]


@contextmanager
def reserved_ports(
    storage: int | None, batch: int | None, prefect: int | None
) -> Iterator[tuple[int, int, int]]:
    """The ports asked for, which must be free; where none is, the usual one or, if that is taken, any.

    Until the block ends no other stack takes the usual ones: two that start at once would choose the same.
    """
    asked = {"Azurite": storage, "Azure Batch (local)": batch, "Prefect server": prefect}
    for name, port in asked.items():
        if port is not None and not is_free(port):
            raise StartError(f"{name} can't start: port {port} of 127.0.0.1 is in use")
    with ExitStack() as held:
        yield (
            storage or _reserve(STORAGE_PORT, held),
            batch or _reserve(BATCH_PORT, held),
            prefect or _reserve(PREFECT_PORT, held),
        )


def _reserve(port: int, held: ExitStack) -> int:
    folder = azurite.cache_folder() / "ports"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(locked_at_once(folder / str(port)))
    except BlockingIOError:
        return free_port()
    return free_port(port)


@contextmanager
def serve(settings: Settings, say: Say) -> Iterator[Supervisor]:
    """The whole stack, ready, with the flows deployed. Raises LocalServiceError; leaves no process."""
    for folder in (settings.location, settings.logs, settings.temporary):
        make_private_folder(folder)
    with held(settings.location), supervised() as supervisor:
        install(supervisor, settings.logs, say)
        start(supervisor, settings, say)
        yield supervisor


@contextmanager
def held(location: Path) -> Iterator[None]:
    """Keep other stacks off this folder."""
    try:
        with locked_at_once(location / LOCK):
            yield
    except BlockingIOError:
        raise StartError(
            f"A local stack is open already, with its data in {location}: "
            "`./run COMMAND` uses it, and Ctrl-C in its terminal stops it."
        ) from None


@contextmanager
def temporary_location() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def install(supervisor: Supervisor, logs: Path, say: Say) -> None:
    """Fetch Azurite and prepare Prefect's database, side by side, unless an earlier start did."""
    missing = []
    if not azurite.folder().exists():
        say(f"Installing Azurite {azurite.VERSION} (once)")
        missing.append(module("Azurite's installation", "deployments.azurite", logs / "azurite-install.log"))
    if not database.path().exists():
        say("Preparing Prefect's database (once)")
        missing.append(
            module("Prefect's database", "deployments.local.database", logs / "prefect-database.log")
        )
    supervisor.run(*missing)


def module(name: str, module_name: str, log: Path) -> Command:
    argv = [sys.executable, "-m", module_name]
    return Command(name, argv, base_environment(os.environ), log, cwd=REPOSITORY)


def start(supervisor: Supervisor, settings: Settings, say: Say) -> None:
    """Start everything at once: what needs the Prefect server waits for the work pool by itself."""
    say("Starting Azurite, the local Azure Batch, and Prefect")
    database.create_prefect_home(settings.prefect_home)
    launched = [services.storage(settings), services.batch(settings), services.prefect_server(settings)]
    worker = services.worker(settings)
    supervisor.launch(*launched, worker)
    supervisor.begin(services.registration(settings))
    supervisor.wait_until_ready(*launched)
    say("Deploying the flows")
    services.create_work_pool(services.prefect_api(settings))
    supervisor.finish()
    supervisor.wait_until_ready(worker)
