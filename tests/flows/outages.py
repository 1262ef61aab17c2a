"""A run whose Batch service, storage or Prefect server is away for a while, and what it must not lose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_CLIENT_RETRY_EXTRA_CODES,
    temporary_settings,
)

from batch_emulator.server import Account
from deployments.azurite import BlobStorage
from deployments.local.services import SERVER_PATIENCE
from flows.fan_out import fan_out
from tasks.azure.accounts import Accounts, using
from tasks.azure.blocks import save_accounts
from tasks.base.deadlines import run_deadline
from tasks.errors import NotFoundError
from tasks.reuse.earlier_attempts import list_sources
from tasks.spec.naming import names_of_run
from tasks.spec.output_places import OutputPlace
from tasks.spec.run_results import RunResult
from tests.faulty_proxy import FaultyProxy, before
from tests.flows.services import write_files
from tests.weather import Kind, Outage

KINDS: tuple[Kind, ...] = ("refuse", "silent", "500", "503", "403 once")
# The request with which an outage begins, by the service that is away and the step of the run.
STEPS = {
    "storage": {
        "first call": "HEAD|GET .*restype=container",
        "containers": "PUT .*restype=container",
        "upload": "PUT .*/input-[^/?]*/",
        "list outputs": "GET .*/output-.*comp=list",
        "fetch": "GET .*/output-[^/]*/",
        "delete": "DELETE .*/output-",
    },
    "batch": {
        "first call": "GET /supportedimages",
        "pool": "POST /pools",
        "job": r"POST /jobs\?",
        "tasks": "POST /jobs/.*/addtaskcollection",
        "close job": r"PATCH /jobs/",
        "task counts": "GET /jobs/.*/taskcounts",
        "completed": "GET /jobs/.*/tasks.*stateTransitionTime|GET /jobs/.*/tasks.*completed",
        "delete": "DELETE /jobs/",
    },
    "prefect": {
        "account": "GET /api/block",
        "states": "POST /api/flow_runs/.*/set_state",
        "artifacts": "POST /api/artifacts",
    },
}
SAVING = threading.Lock()
FILES = {"one.txt": "text 1", "two.txt": "text 2"}


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    service: str
    step: str
    kind: Kind
    seconds: float
    timeout_seconds: int = 120

    def __str__(self) -> str:
        return f"{self.service}, {self.step}, {self.kind}, {self.seconds:g} s"

    @property
    def key(self) -> str:
        """The run's key."""
        return "-".join(str(self).replace(",", "").split())


@dataclass
class Stand:
    """The services that the proxies of a case are put before."""

    batch: Account
    storage: BlobStorage
    prefect_url: str

    @property
    def accounts(self) -> Accounts:
        """Without a proxy."""
        batch = self.batch
        return Accounts(batch.endpoint, batch.name, batch.key, self.storage.connection_string)


@dataclass
class Ended:
    """How a run ended."""

    case: Case
    struck: int
    result: RunResult | None
    error: BaseException | None


@contextmanager
def proxied(stand: Stand) -> Iterator[dict[str, FaultyProxy]]:
    """A proxy before each of the services."""
    urls = {
        "storage": stand.storage.blob_endpoint,
        "batch": stand.batch.endpoint,
        "prefect": stand.prefect_url,
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(before(url)) for name, url in urls.items()}


def run_case(stand: Stand, case: Case, folder: Path) -> Ended:
    """Run two small files while the outage lasts; what came of it."""
    with proxied(stand) as proxies:
        outage = Outage(case.kind, case.seconds, STEPS[case.service][case.step])
        _save_accounts(case, _accounts(stand, proxies))
        proxies[case.service].begin(outage)
        try:
            with asking(proxies["prefect"]) if case.service == "prefect" else nullcontext():
                result = run_files(case, folder)
        except Exception as error:
            return Ended(case, len(outage.struck), None, error)
        return Ended(case, len(outage.struck), result, None)


@contextmanager
def asking(proxy: FaultyProxy) -> Iterator[None]:
    """Have Prefect ask its server through the proxy, with the patience of the local stack's runs."""
    with temporary_settings(
        {
            PREFECT_API_URL: f"{proxy.url}/api",
            PREFECT_CLIENT_MAX_RETRIES: SERVER_PATIENCE["PREFECT_CLIENT_MAX_RETRIES"],
            PREFECT_CLIENT_RETRY_EXTRA_CODES: SERVER_PATIENCE["PREFECT_CLIENT_RETRY_EXTRA_CODES"],
        }
    ):
        yield


def run_files(case: Case, folder: Path) -> RunResult:
    """A run that notes what it computes."""
    write_files(folder / "in", FILES)
    command = f"""sh -c 'echo "$FAN_OUT_NAME" >> {folder}/ran; cat "$FAN_OUT_INPUT"'"""
    return fan_out(
        inputs=str(folder / "in"),
        application=None,
        command=command,
        output_dir=str(folder / "out"),
        output_name="{name}",
        run_key=case.key,
        accounts=case.key,
        timeout_seconds=case.timeout_seconds,
    )


def _save_accounts(case: Case, accounts: Accounts) -> None:
    # Two at once would both make the type of the blocks.
    with SAVING:
        save_accounts(case.key, accounts)


def _accounts(stand: Stand, proxies: dict[str, FaultyProxy]) -> Accounts:
    direct, url = stand.accounts, f"{proxies['storage'].url}/{stand.storage.account_name}"
    connection_string = (direct.storage_connection_string or "").replace(stand.storage.blob_endpoint, url)
    return replace(direct, batch_endpoint=proxies["batch"].url, storage_connection_string=connection_string)


def find_lost(stand: Stand, case: Case, folder: Path) -> set[str]:
    """The files whose outputs were computed, and are neither on disk nor in their container."""
    ran = folder / "ran"
    computed = set(ran.read_text().split()) if ran.exists() else set()
    on_disk = {name for name, text in FILES.items() if _reads(folder / "out" / name, text)}
    return computed - on_disk - find_stored(stand, case)


def _reads(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def find_stored(stand: Stand, case: Case) -> set[str]:
    """The outputs in the run's container, asked without a proxy."""
    with using(stand.accounts), run_deadline(60):
        try:
            return {name for name, _ in list_sources(OutputPlace(names_of_run(case.key).output_container))}
        except NotFoundError:
            return set()


def run_again(stand: Stand, case: Case, folder: Path) -> RunResult:
    """A second attempt, with all services there."""
    _save_accounts(case, stand.accounts)
    return run_files(case, folder)
