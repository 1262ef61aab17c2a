"""Real Prefect servers, which flows and tasks that are called in the tests' process use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.local import services
from deployments.local.database import create_prefect_home
from deployments.local.keys import load_keys
from deployments.local.settings import Settings
from deployments.processes import free_port
from deployments.supervisor import supervised
from tests.certificates import make_certificate

# For events to a server that is gone: each is tried again and again.
DRAIN_SECONDS = 30
# What the server does by itself, beside answering and taking note of task runs: each looks at its database
# now and then, or at each event, for which flows that are called here have no use. A quarter of its work.
SERVICES = (
    "CANCELLATION_CLEANUP",
    "EVENT_PERSISTER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)
WITHOUT_SERVICES = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in SERVICES}


@contextmanager
def serve_prefect(location: Path, has_services: bool = True) -> Iterator[str]:
    """The API URL of a server of the local stack, in Prefect's settings and the environment while the block
    lasts.

    Without heartbeats, whose thread makes each flow call a second longer, and without logs sent to the
    server.
    """
    settings = Settings(location, free_port(), free_port(), free_port(), load_keys(location))
    settings.logs.mkdir()
    settings.temporary.mkdir()
    create_prefect_home(settings.prefect_home)
    spec = services.prefect_server(settings)
    if not has_services:
        spec = replace(spec, command=replace(spec.command, env={**spec.command.env, **WITHOUT_SERVICES}))
    with supervised() as supervisor:
        supervisor.start(spec)
        with using_server(settings) as api_url:
            yield api_url


@contextmanager
def using_server(settings: Settings) -> Iterator[str]:
    from prefect.events.worker import EventsWorker
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_SSL_CERT_FILE,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        PREFECT_RESULTS_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    api_url, results = f"{settings.dashboard}/api", settings.location / "results"
    # Each client of Prefect's, several a flow run, would read 150 authorities' certificates, also for HTTP.
    certificate = str(make_certificate(settings.location)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_AUTH_STRING", settings.keys.prefect)
        patch.setenv("PREFECT_API_SSL_CERT_FILE", certificate)
        patch.setenv("PREFECT_API_URL", api_url)
        patch.setenv("PREFECT_HOME", str(settings.prefect_home))
        # For flows in processes of their own: what one leaves there, the next attempt finds.
        patch.setenv("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(results))
        with temporary_settings(
            {
                PREFECT_API_AUTH_STRING: settings.keys.prefect,
                PREFECT_API_SSL_CERT_FILE: certificate,
                PREFECT_API_URL: api_url,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_TO_API_ENABLED: False,
                PREFECT_RESULTS_LOCAL_STORAGE_PATH: results,
            }
        ):
            # It stays with the server that it has found.
            EventsWorker.drain_all(timeout=DRAIN_SECONDS)
            yield api_url
            EventsWorker.drain_all(timeout=DRAIN_SECONDS)
