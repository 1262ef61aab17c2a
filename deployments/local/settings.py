"""What can be set on the local stack, and the environment variables that follow from it."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments import azurite
from deployments.local.keys import Keys

REPOSITORY = Path(__file__).parents[2]
PREFECT_FILE = Path("deployments", "prefect.yaml")
WORK_POOL = "local-process"
STORAGE_PORT = 10000
BATCH_PORT = 10003
PREFECT_PORT = 4200
OPEN_PATH = "/open"
# The account that the local Batch service has when it is told nothing else.
BATCH_ACCOUNT = "devbatchaccount1"

# Without these the server records task runs one at a time and drops those of a large fan-out.
RECORDER = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "1000",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "1000",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
# Without these `prefect deployment run --watch` shows no logs.
LOG_STREAM = {
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
}
# Prefect looks once a minute for what schedules bring.
SCHEDULER = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10"}
FOREIGN = ("AZURE_", "AZURITE_", "PREFECT_")
NO_TELEMETRY = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Settings:
    """One local stack. Every port is of 127.0.0.1 and was free when these settings were made."""

    location: Path
    """Folder of everything that the services keep: blobs, nodes, Prefect's database, logs. Absolute."""

    storage_port: int
    batch_port: int
    prefect_port: int

    keys: Keys
    """What signs in to the services. A page in a browser can't know them."""

    is_temporary: bool = False
    """Whether the folder is to go with the stack, also when that is killed."""

    batch_account: str = BATCH_ACCOUNT
    """Name of the Batch account that is served."""

    @property
    def logs(self) -> Path:
        return self.location / "logs"

    @property
    def temporary(self) -> Path:
        return self.location / "temporary"

    @property
    def prefect_home(self) -> Path:
        return self.location / "prefect"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def dashboard_link(self) -> str:
        """Opens the dashboard, signed in: what is behind `#` never leaves the browser."""
        return link_to(self.dashboard, self.keys.prefect)

    @property
    def batch_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.batch_port}"

    @property
    def storage(self) -> azurite.BlobStorage:
        return azurite.blob_storage(f"http://127.0.0.1:{self.storage_port}", self.keys.storage)


def link_to(dashboard: str, auth_string: str) -> str:
    return f"{dashboard}{OPEN_PATH}#{auth_string}"


def client_environment(settings: Settings) -> dict[str, str]:
    """What a client of the stack sets: Azure's variables as the Azure CLI names them, and Prefect's own."""
    return {
        "AZURE_BATCH_ACCOUNT": settings.batch_account,
        "AZURE_BATCH_ACCESS_KEY": settings.keys.batch,
        "AZURE_BATCH_ENDPOINT": settings.batch_endpoint,
        "AZURE_STORAGE_CONNECTION_STRING": settings.storage.connection_string,
        "PREFECT_API_AUTH_STRING": settings.keys.prefect,
        "PREFECT_API_URL": f"{settings.dashboard}/api",
        "PREFECT_HOME": str(settings.prefect_home),
        **NO_TELEMETRY,
    }


def server_protection(settings: Settings) -> dict[str, str]:
    """Prefect's own settings by which its server asks for the key, and lets no other page read an answer."""
    return {
        "PREFECT_SERVER_API_AUTH_STRING": settings.keys.prefect,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": settings.dashboard,
    }


def base_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The caller's variables without those that could point a service at another account or another server.

    The services find their own programs and this interpreter first, and speak to 127.0.0.1 through no proxy.
    """
    kept = {name: value for name, value in variables.items() if not name.startswith(FOREIGN)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    bypassed = ["127.0.0.1", "localhost", kept.get("NO_PROXY") or kept.get("no_proxy") or ""]
    no_proxy = ",".join(filter(None, bypassed))
    return {**kept, "PATH": path, "NO_PROXY": no_proxy, "no_proxy": no_proxy, "PYTHONUNBUFFERED": "1"}


def service_environment(settings: Settings) -> dict[str, str]:
    """The whole environment of every service, and of the flow runs that the worker starts."""
    temporary = {"TMPDIR": str(settings.temporary)}
    return {
        **base_environment(os.environ),
        **client_environment(settings),
        **RECORDER,
        **LOG_STREAM,
        **SCHEDULER,
        **temporary,
    }
