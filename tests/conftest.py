"""Fixtures that several kinds of tests share: real services, started once a session; and the leak check."""

import gc
import logging
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from deployments import azurite
from tests.prefect_servers import serve_prefect

# npm's and Node's own cache of compiled code; Node keeps it on purpose.
KEPT_IN_TEMPORARY_FOLDER = {"node-compile-cache"}
LEAK_GRACE_SECONDS = 10
STACK_TESTS = "tests/stack/"
FLOW_TESTS = "tests/flows/"
FLOW_WORKERS = 3
PREFECT_SERVER = "prefect.server.api.server"
READ_LOGGERS = ("azure", "batch_emulator", "fan_out", "prefect")


# No timing assertions: an example may take as long as a busy machine needs. Few are enough, as each run has
# others; who changes what they are about gives `--hypothesis-profile=thorough`.
hypothesis.settings.register_profile("patient", deadline=None, max_examples=30)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("patient")


def pytest_configure() -> None:
    """Take signals as in a terminal: in the background Ctrl-C is ignored, under `nohup` a hang-up, and so by
    all that the tests start."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tests that share services stay with one worker, which starts them once."""
    return _ByServices(config, log)


class _ByServices(LoadScopeScheduling):
    """A file's tests are one unit of work, and so are all that use the local stack.

    xdist's own groups (`--dist loadgroup`) are without effect on pytest 9.2, which no longer lets it change
    a test's id. Whole flows need a Prefect server and Azurite, which take a worker as long to start as 10
    runs: as long as there is something else, few workers take flows, and the one with the stack takes none.
    In the soak all may, as its flows mostly wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return STACK_TESTS if file.startswith(STACK_TESTS) else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        if not self._takes_flows(node):
            others = (scope for scope in self.workqueue if not _is_of_flows(scope))
            self.workqueue.move_to_end(next(others, next(iter(self.workqueue))), last=False)
        super()._assign_work_unit(node)

    def _takes_flows(self, node: WorkerController) -> bool:
        taking = [each for each, work in self.assigned_work.items() if any(map(_is_of_flows, work))]
        has_stack = STACK_TESTS in self.assigned_work[node]
        has_room = len(taking) < FLOW_WORKERS or "not soak" not in self.config.option.markexpr
        return node in taking or (has_room and not has_stack)


def _is_of_flows(scope: str) -> bool:
    return scope.startswith(FLOW_TESTS)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave the tests and what they import out of garbage collections, which else go through all of it: an
    eighth of the unit tests' time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_finish() -> None:
    """Each worker imports all test modules, and Prefect's server would be more than a third of that: a test
    that needs it imports it itself."""
    if PREFECT_SERVER in sys.modules:
        raise pytest.UsageError(f"a test module imports {PREFECT_SERVER}; leave that to its tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, so that at the end of a run by several workers none is left with one."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[bool, ...]:
        return item.path.parent.name != "stack", item.path not in slow, item.path.parent.name != "flows"

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the session if the tests leave a process, a thread that blocks the exit, or a temporary folder.

    So it does if a library has silenced loggers, whose records later tests would miss.
    Everything that the tests and their processes put into the temporary folder goes to one of this session.
    """
    temporary = tmp_path_factory.mktemp("temporary")
    processes, threads = set(children()), set(threading.enumerate())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", None)
        yield
    deadline = time.monotonic() + LEAK_GRACE_SECONDS
    while (left := leaks(processes, threads, temporary)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"the tests left behind: {left}"


@pytest.fixture(autouse=True)
def secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test reads as a secret is hidden in that test alone, and not in the messages of others."""
    monkeypatch.setattr("tasks.base.hidden._hidden", frozenset())


def leaks(processes: set[psutil.Process], threads: set[threading.Thread], temporary: Path) -> list[object]:
    new_threads = [one for one in threading.enumerate() if one not in threads and not one.daemon]
    folders = [path for path in temporary.iterdir() if path.name not in KEPT_IN_TEMPORARY_FOLDER]
    started = [child for child in children() if child not in processes]
    return [*started, *new_threads, *folders, *disabled_loggers()]


def disabled_loggers() -> list[str]:
    """Those that tests read. `logging.config` disables all that there are, unless it is told not to."""
    loggers = logging.root.manager.loggerDict.items()
    disabled = [name for name, logger in loggers if getattr(logger, "disabled", False)]
    return [f"disabled logger {name}" for name in disabled if name.startswith(READ_LOGGERS)]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.fixture(scope="session")
def storage() -> Iterator[azurite.BlobStorage]:
    """A running Azurite, one for each process of the test run. Give each test containers of its own."""
    with azurite.serve() as storage:
        yield storage


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API URL of a real Prefect server, which flows and tasks that are called in this process use.

    It does nothing by itself, as keep events or run automations: files of tests of that have a server of
    their own.
    """
    with serve_prefect(tmp_path_factory.mktemp("prefect-server"), has_services=False) as api_url:
        yield api_url
