"""No wait without end: what may wait says how long, or here why it ends by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.errors import InstallError
from deployments.locks import locked
from tasks.reuse.output_records import OutputRecord, _one_at_a_time, write_records

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "node", "deployments", "batch_emulator")
# What waits for ever unless it is given seconds.
METHODS = {"wait", "join", "communicate", "result", "acquire", "select"}
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
}
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
    "tasks/checks.py: futures[0].result()": "It has ended: it was waited for, and each request has the run's "
    "deadline.",
    "tasks/reuse/unchanged_outputs.py: future.result()": "It is found to have succeeded before.",
    "tasks/sharding.py: worker.result()": "Each request of the threads has the run's deadline.",
    "tasks/sharding.py: future.result()": "It has ended.",
    "tasks/watch/collecting.py: download.result()": "It has ended.",
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
    if not re.search(rf"\b({'|'.join([*METHODS, *CALLS]).replace('.', chr(92) + '.')})\(", text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and may_wait_for_ever(node):
            yield f"{path.relative_to(REPOSITORY)}: {ast.unparse(node)}"


def may_wait_for_ever(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    given = {keyword.arg for keyword in call.keywords}
    if given & {"timeout", "seconds", "timeout_seconds", "block", "blocking"}:
        return False
    if name in CALLS:
        return len(call.args) < CALLS[name]
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in METHODS:
        return False
    return not call.args and not call.keywords


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
        write_records(tmp_path, {"one": OutputRecord("1", "a")})
    assert f"Another run has held {tmp_path}" in caplog.text
