"""Prefect's server, a local Batch service and a blob store for a measurement, each a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY
from bench.service import Service, run_blob_store, run_emulator
from deployments import azurite
from deployments.local import services
from deployments.local.database import create_prefect_home
from deployments.local.keys import load_keys
from deployments.local.settings import NO_TELEMETRY, Settings
from deployments.processes import free_port
from deployments.supervisor import supervised


@dataclass(frozen=True)
class Stack:
    """What a driver needs in its environment, and what can be asked about it afterwards."""

    environment: dict[str, str]
    batch: Service
    storage: psutil.Process
    """Of Azurite, or of the store that keeps nothing."""


@contextmanager
def run_stack(folder: Path, *batch_options: str, keeps_blobs: bool) -> Iterator[Stack]:
    """All three until the block ends; with `keeps_blobs` the store is Azurite, else one that keeps none."""
    with (
        run_prefect(folder) as prefect,
        run_services(prefect, *batch_options, keeps_blobs=keeps_blobs) as stack,
    ):
        yield stack


@contextmanager
def run_services(prefect: dict[str, str], *batch_options: str, keeps_blobs: bool) -> Iterator[Stack]:
    """A Batch service and a blob store beside a Prefect server that runs, whose variables these are."""
    with run_emulator(*batch_options) as batch:
        variables = {**os.environ, **prefect, **NO_TELEMETRY, **_name_batch(batch.endpoint)}
        # A user's Python keeps what it has compiled.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        if keeps_blobs:
            with azurite.serve() as storage:
                process = _find_listener(storage.blob_endpoint)
                yield Stack(variables | _name_storage(storage.connection_string), batch, process)
        else:
            with run_blob_store() as blobs:
                # It looks at no key.
                storage = azurite.blob_storage(blobs.endpoint, azurite.new_account_key())
                yield Stack(variables | _name_storage(storage.connection_string), batch, blobs.process)


def _find_listener(endpoint: str) -> psutil.Process:
    """The process among those started here that serves an endpoint."""
    port = urlsplit(endpoint).port
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return process
    raise RuntimeError(f"nothing that was started here serves {endpoint}")


def _name_batch(endpoint: str) -> dict[str, str]:
    return {
        "AZURE_BATCH_ACCOUNT": DEFAULT_ACCOUNT,
        "AZURE_BATCH_ACCESS_KEY": DEFAULT_KEY,
        "AZURE_BATCH_ENDPOINT": endpoint,
    }


def _name_storage(connection_string: str) -> dict[str, str]:
    return {"AZURE_STORAGE_CONNECTION_STRING": connection_string}


@contextmanager
def run_prefect(folder: Path) -> Iterator[dict[str, str]]:
    """A Prefect server until the block ends; the variables by which clients find it."""
    settings = Settings(folder, free_port(), free_port(), free_port(), load_keys(folder))
    settings.logs.mkdir()
    settings.temporary.mkdir()
    create_prefect_home(settings.prefect_home)
    with supervised() as supervisor:
        supervisor.start(services.prefect_server(settings))
        yield {
            "PREFECT_HOME": str(settings.prefect_home),
            "PREFECT_API_URL": f"{settings.dashboard}/api",
            "PREFECT_API_AUTH_STRING": settings.keys.prefect,
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(folder / "results"),
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
        }
