"""No wait without end: what may wait says how long, or here why it ends by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.errors import InstallError
from deployments.locks import locked
from tasks.reuse.output_records import _one_at_a_time, write_records
from tasks.reuse.record_lines import OutputRecord

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "node", "deployments", "batch_emulator")
# What waits for ever unless it is given seconds, at the earliest as which argument.
METHODS = {
    "wait": 1,
    "join": 1,
    "communicate": 2,
    "result": 1,
    "acquire": 1,
    "select": 1,
    "recv": 99,
    "recv_into": 99,
    "accept": 1,
    "readline": 99,
    "shutdown": 1,
}
# So do these, with how many arguments say so by position.
CALLS = {
    "subprocess.run": 99,
    "subprocess.call": 99,
    "subprocess.check_call": 99,
    "subprocess.check_output": 99,
    "urlopen": 3,
    "urllib.request.urlopen": 3,
    "socket.create_connection": 2,
    "http.client.HTTPConnection": 3,
    "http.client.HTTPSConnection": 4,
    "HTTPConnection": 3,
    "HTTPSConnection": 4,
    "requests.get": 99,
    "requests.request": 99,
    "select.select": 4,
    "asyncio.wait": 99,
    "asyncio.wait_for": 2,
    "wait": 2,
    "futures.wait": 2,
    "concurrent.futures.wait": 2,
    "prefect.futures.wait": 2,
    "as_completed": 2,
    "self._wait": 2,
}
WAITING = re.compile(rf"\b({'|'.join(map(re.escape, [*METHODS, *CALLS]))})\(")
# Why each of the others ends.
ENDING = {
    "batch_emulator/__main__.py: stopping.wait()": "It is what the service is for; a signal ends it.",
    "batch_emulator/server.py: stopping.wait()": "It is what the service is for; the end of `serve` ends it.",
    "batch_emulator/server.py: self._ready.wait()": "The service's thread sets it whatever becomes of it.",
    "batch_emulator/server.py: thread.join()": "Each step of the service's end has its seconds.",
    "batch_emulator/node/agent.py: self._selector.select()": "The end of the service, or of a task, does.",
    "batch_emulator/node/agent.py: process.wait()": "It has ended, or was sent SIGKILL; a service waits no "
    "longer than 30 s for its agent.",
    "batch_emulator/node/containers.py: process.communicate()": "The attempt's stop or limit cancels it.",
    "batch_emulator/node/containers.py: process.wait()": "It was sent SIGKILL.",
    "batch_emulator/node/process.py: asyncio.wait((running.ended,))": "An agent that ends fails it, and one "
    "that hangs is killed at the service's end.",
    "batch_emulator/node/process.py: running.ended.result()": "It is waited for before.",
    "batch_emulator/node/attempt.py: task.result()": "It is done.",
    "batch_emulator/node/process_runner.py: task.result()": "It is done.",
    "deployments/process_guard.py: select.select([STDIN, guarded.signals_fd], [], [])": "It is what the "
    "guard is for; the end of the command, or of whoever started it, wakes it.",
    "node/run_bundle.py: saver.join()": "Its requests have their tries and seconds.",
    "batch_emulator/node/agent.py: client.recv(_READ_BYTES)": "The selector says that it is readable.",
    "batch_emulator/node/agent.py: self._child_signals.recv(4096)": "The socket does not block.",
    "batch_emulator/node/agent.py: self._listener.accept()": "The selector has said that somebody is there.",
    "batch_emulator/node/agent_socket.py: self._connection.recv(_READ_BYTES)": "The socket does not block, "
    "or has been given the seconds for the last word.",
    "batch_emulator/node/trash.py: self._deleter.shutdown()": "What it deletes are files of this machine: "
    "its folders end, and nothing is added any more.",
    "flows/command_line.py: sys.stdin.readline()": "Somebody at the terminal is asked; Ctrl-C ends it.",
    "tasks/azure/exchanges.py: socket.recv(READ_BYTES)": "The socket has its seconds by then.",
    "tasks/checks.py: wait(futures)": "Each request of both has the run's deadline.",
    "tasks/checks.py: futures[0].result()": "It has ended: it was waited for, and each request has the run's "
    "deadline.",
    "tasks/reuse/earlier_runs.py: wait(futures)": "They look at files; each request has a deadline.",
    "tasks/sharding.py: future.result(raise_on_failure=False)": "It has ended, or those who ask have waited.",
    "tasks/sharding.py: wait(list(futures))": "Each request of the Prefect tasks has the run's deadline.",
    "tasks/sharding.py: wait(list(under_way))": "Each request of the Prefect tasks has the run's deadline.",
    "tasks/sharding.py: worker.result()": "Each request of the threads has the run's deadline.",
    "tasks/sharding.py: future.result()": "It has ended.",
    "tasks/downloads.py: download.result()": "It has ended.",
    "tasks/watch/downloading.py: self._wait([*islice(self.downloads, SHARDS_AT_ONCE)])": "Each "
    "request has the run's deadline.",
    "tasks/watch/downloading.py: self._wait(self.log_futures)": "Each request has the run's deadline.",
}


def test_whatever_waits_says_how_long():
    """A call of the standard library's that waits has its seconds, or a reason why it ends."""
    found = {one for package in PACKAGES for path in sources(package) for one in find_waits(path)}
    assert found - ENDING.keys() == set()
    assert ENDING.keys() - found == set(), "reasons for what is no more"


def sources(package: str) -> list[Path]:
    return sorted((REPOSITORY / package).rglob("*.py"))


def find_waits(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    # Elsewhere what has a `get` without arguments are variables of a context.
    has_queues = "Queue" in text
    # Most files have none, and need no parser.
    if not (WAITING.search(text) or (has_queues and "get(" in text)):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and may_wait_for_ever(node, has_queues):
            yield f"{path.relative_to(REPOSITORY)}: {ast.unparse(node)}"


def may_wait_for_ever(call: ast.Call, has_queues: bool = True) -> bool:
    name = ast.unparse(call.func)
    if any(says_how_long(keyword) for keyword in call.keywords):
        return False
    if name in CALLS:
        return not any(map(is_said, call.args[CALLS[name] - 1 :]))
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr == "get":
        return has_queues and not any(map(is_said, call.args)) and is_of_a_queue(call)
    position = METHODS.get(call.func.attr)
    return position is not None and not any(map(is_said, call.args[position - 1 :]))


def is_of_a_queue(call: ast.Call) -> bool:
    """A dictionary's and a request's `get` says of what."""
    return {keyword.arg for keyword in call.keywords} <= {"block", "timeout"}


def says_how_long(keyword: ast.keyword) -> bool:
    names = {"timeout", "seconds", "timeout_seconds", "block", "blocking", "wait"}
    return keyword.arg in names and is_said(keyword.value)


def is_said(argument: ast.expr) -> bool:
    """Neither None seconds, nor that it may block."""
    return not (isinstance(argument, ast.Constant) and argument.value in (None, True))


@pytest.mark.parametrize(
    "call",
    [
        *("wait(futures)", "concurrent.futures.wait(x)", "process.communicate(data)", "q.get()"),
        *("q.get(block=True)", "q.get(True)", "lock.acquire(True)", "thread.join(timeout=None)"),
        *(
            "ended.wait(None)",
            "sock.recv(9)",
            "file.readline()",
            "pool.shutdown()",
            "pool.shutdown(wait=True)",
        ),
        *(
            "pool.shutdown()",
            "future.result(raise_on_failure=False)",
            "urlopen(url, None, None)",
            "subprocess.run(argv)",
        ),
    ],
)
def test_what_gives_no_seconds_is_found(call):
    """None is no limit, nor is it one to be allowed to block, nor what is sent."""
    assert may_wait_for_ever(call_of(call))


@pytest.mark.parametrize(
    "call",
    [
        *(
            "wait(futures, 3)",
            "wait(futures, timeout=left)",
            "process.communicate(data, 3)",
            "q.get(timeout=3)",
        ),
        *("q.get(False)", "lock.acquire(True, 3)", "lock.acquire(blocking=False)", "', '.join(names)"),
        *("ended.wait(3)", "known.get(name)", "pool.shutdown(wait=False)", "sock.shutdown(socket.SHUT_WR)"),
    ],
)
def test_what_gives_seconds_needs_no_reason(call):
    """As argument or by name; and what only has the name of a call that waits is none."""
    assert not may_wait_for_ever(call_of(call))


def call_of(text: str) -> ast.Call:
    (statement,) = ast.parse(text).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    return statement.value


def test_locks_of_files_are_not_waited_for():
    """Who wants a lock that another has asks again, as long as it has time."""
    for path in (path for package in PACKAGES for path in sources(package)):
        for line in path.read_text("utf-8").splitlines():
            assert "LOCK_EX" not in line or "LOCK_NB" in line, path


def test_a_lock_that_somebody_keeps_is_given_up(tmp_path, monkeypatch, caplog):
    """What hangs with a lock keeps no run and no stack from ending: they say who has it."""
    monkeypatch.setattr("deployments.locks.LOCK_SECONDS", 0.1)
    monkeypatch.setattr("tasks.reuse.output_records.LOCK_SECONDS", 0.1)
    lock = tmp_path / "x.lock"
    with locked(lock), pytest.raises(InstallError, match=r"x\.lock"), locked(lock):
        pass
    with locked(lock):
        pass
    with _one_at_a_time(tmp_path):
        write_records(tmp_path, [("one", OutputRecord("1", "a"))])
    assert f"Another run has held {tmp_path}" in caplog.text
