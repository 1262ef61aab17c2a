"""The services of the local stack, as data: how each is started and how one sees that it is ready."""

import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from deployments import azurite
from deployments.errors import StartError
from deployments.local.prefect_api import PrefectApi, is_healthy, probe, request
from deployments.local.settings import (
    REPOSITORY,
    WORK_POOL,
    Settings,
    server_protection,
    service_environment,
)
from deployments.private_files import PRIVATE_UMASK, make_private_folder
from deployments.processes import Command
from deployments.supervisor import ServiceSpec
from tasks.spec.times import read_time

WORKER_NAME = "local"
CONCURRENT_FLOW_RUNS = 4
# New runs are looked for this often; Prefect's default of 10 s is meant for distant servers. They are taken
# when they are due, not 10 s before: a night would be cancelled for the last one that ends in those.
WORKER_QUERY = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_WORKER_PREFETCH_SECONDS": "0"}
# Of the worker and its runs: a server that is away, or fails, is asked again for eight minutes. By default
# Prefect does so for one, and after a 500 not at all.
SERVER_PATIENCE = {"PREFECT_CLIENT_MAX_RETRIES": "8", "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500"}


def storage(settings: Settings) -> ServiceSpec:
    folder = make_private_folder(settings.location / "storage")
    log = settings.logs / "azurite.log"
    command = replace(
        azurite.command(folder, settings.storage_port, settings.keys.storage),
        log=log,
        env=azurite.environment(service_environment(settings), settings.keys.storage),
        scratch=scratch(settings),
    )
    return ServiceSpec(command, lambda: bool(azurite.listening_at(log)), azurite.START_TIMEOUT_SECONDS)


def batch(settings: Settings) -> ServiceSpec:
    """It keeps its own files for itself. What programs make on its nodes has their usual modes."""
    argv = [sys.executable, "-m", "batch_emulator", "--port", str(settings.batch_port)]
    argv += [
        "--account",
        settings.batch_account,
        "--location",
        str(make_private_folder(settings.location / "batch")),
    ]
    command = named(settings, "Azure Batch (local)", argv, "batch.log")
    # It stops its tasks first, which have five seconds of their own.
    command = replace(
        command, env={**command.env, "BATCH_EMULATOR_KEY": settings.keys.batch}, grace_seconds=10
    )
    return ServiceSpec(command, lambda: " is ready at " in command.log.read_text())


def prefect_server(settings: Settings) -> ServiceSpec:
    argv = [sys.executable, "-m", "deployments.local.prefect_server", str(settings.prefect_port)]
    command = named(settings, "Prefect server", argv, "prefect-server.log")
    command = replace(command, env={**command.env, **server_protection(settings)}, umask=PRIVATE_UMASK)
    return ServiceSpec(command, lambda: is_healthy(settings.prefect_port))


def worker(settings: Settings) -> ServiceSpec:
    """Outputs that its flow runs write have their user's usual modes."""
    options = ["--pool", WORK_POOL, "--name", WORKER_NAME, "--limit", str(CONCURRENT_FLOW_RUNS)]
    argv = [sys.executable, "-m", "deployments.local.prefect_when_ready", "worker", "start", *options]
    command = named(settings, "Prefect worker", argv, "prefect-worker.log")
    since = datetime.now(timezone.utc)
    # It would kill its flow runs. Asked before it, they can still delete what they have made.
    return ServiceSpec(
        replace(
            command,
            env={**command.env, **WORKER_QUERY, **SERVER_PATIENCE},
            grace_seconds=10,
            children_first=True,
        ),
        lambda: _is_worker_online(prefect_api(settings), since),
    )


def registration(settings: Settings) -> Command:
    """Registers the deployments, the accounts and the automations, once there is a work pool."""
    argv = [sys.executable, "-m", "deployments.local.registration"]
    return named(settings, "prefect deploy", argv, "prefect-deploy.log")


def named(settings: Settings, name: str, argv: list[str], log: str) -> Command:
    return Command(
        name,
        argv,
        service_environment(settings),
        settings.logs / log,
        cwd=REPOSITORY,
        scratch=scratch(settings),
    )


def scratch(settings: Settings) -> Path | None:
    """The last service to stop after the stack was killed deletes the folder."""
    return settings.location if settings.is_temporary else None


def prefect_api(settings: Settings) -> PrefectApi:
    return PrefectApi(settings.prefect_port, settings.keys.prefect)


def create_work_pool(api: PrefectApi) -> None:
    """Make the pool that the worker and the deployments share; it may exist already. Raises StartError."""
    status, _ = request(api, "POST", "/api/work_pools/", {"name": WORK_POOL, "type": "process"})
    if status not in (201, 409):
        raise StartError(f"Prefect server refused to make the work pool {WORK_POOL}: status {status}")


def _is_worker_online(api: PrefectApi, since: datetime) -> bool:
    """Has our worker reported to the server since then? One of an earlier session may still be listed."""
    workers = probe(api, "POST", f"/api/work_pools/{WORK_POOL}/workers/filter", {}) or []
    beats = [one["last_heartbeat_time"] for one in workers if one["name"] == WORKER_NAME]
    return any(read_time(beat) > since for beat in beats)
