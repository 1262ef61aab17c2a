"""Processes under a guard: real ones, stopped in every way that there is."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deployments.processes import Command, running, stop
from tests.waiting import wait_until

IGNORE_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
# Starts a child in a session of its own and prints its process id; both ignore SIGTERM and wait.
STUBBORN = f"""
import subprocess, sys, time
{IGNORE_SIGTERM}
code = "{IGNORE_SIGTERM}; import time; print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
STARTER = """
import sys, time
from pathlib import Path
from deployments.processes import Command, start
scratch, log, code = sys.argv[1:]
graces = dict(grace_seconds=0.2, leftovers_grace_seconds=0.2)
command = Command("test", [sys.executable, "-c", code], {}, Path(log), scratch=Path(scratch), **graces)
service = start(command)
print(service.process.pid, flush=True)
time.sleep(600)
"""
# Both say so when they are asked to stop; the child takes its time.
PARENT_AND_CHILD = """
import os, signal, sys, time
def say(name, after_seconds):
    time.sleep(after_seconds)
    print(name, flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, lambda *_: say("parent", 0))
if os.fork() == 0:
    signal.signal(signal.SIGTERM, lambda *_: say("child", 0.5))
    print("up", flush=True)
time.sleep(600)
"""
SLEEPY_CHILD = """
import subprocess, sys
code = "import time; time.sleep(600)"
print(subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid, flush=True)
"""


def python(code: str, log: Path, **options) -> Command:
    return Command("a test", [sys.executable, "-c", code], {}, log, **options)


def words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(("ending", "exit_code"), [("sys.exit(7)", 7), ("os.kill(os.getpid(), 9)", 137)])
def test_exit_code_is_the_commands(tmp_path, ending, exit_code):
    """The guard ends as its command does, like a shell when a signal ended it."""
    with running(python(f"import os, sys; {ending}", tmp_path / "log")) as service:
        assert service.process.wait(30) == exit_code
        assert stop(service) == exit_code


def test_output_goes_to_the_log(tmp_path):
    """Both streams are in the log, and nothing of an earlier start."""
    log = tmp_path / "log"
    log.write_text("earlier")
    with running(python("import sys; print('out'); print('err', file=sys.stderr)", log)) as service:
        service.process.wait(30)
    assert sorted(words(log)) == ["err", "out"]


def test_a_missing_program_is_named(tmp_path):
    """A command that can't be run says so in its log and ends with 127, as in a shell."""
    with running(Command("a test", ["/nowhere/program"], {}, tmp_path / "log")) as service:
        assert service.process.wait(30) == 127
    assert "can't run /nowhere/program: No such file or directory" in (tmp_path / "log").read_text()


def test_asked_first(tmp_path):
    """A command that stops by itself when asked is not killed."""
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); "
        "print('up', flush=True); time.sleep(600)"
    )
    with running(python(code, tmp_path / "log")) as service:
        wait_until(lambda: words(tmp_path / "log"), 30, "sign of life")
        assert stop(service) == 3


def test_killed_with_all_that_it_started(tmp_path):
    """A command that won't stop is killed, and so is a child of it in another session that won't either."""
    log = tmp_path / "log"
    with running(python(STUBBORN, log, grace_seconds=0.2, leftovers_grace_seconds=0.2)) as service:
        child = int(wait_until(lambda: words(log), 30, "child")[0])
        assert stop(service) == 128 + signal.SIGKILL
    assert not is_running(child)


def test_children_first(tmp_path):
    """Where it is so ordered, the children have stopped before the command is asked."""
    log = tmp_path / "log"
    with running(python(PARENT_AND_CHILD, log, children_first=True)) as service:
        wait_until(lambda: words(log), 30, "sign of life")
        assert stop(service) == 0
    assert words(log) == ["up", "child", "parent"]


def test_children_of_an_ended_command_go(tmp_path):
    """What a command left running when it ended is stopped as well."""
    log = tmp_path / "log"
    with running(python(SLEEPY_CHILD, log)) as service:
        assert service.process.wait(30) == 0
        assert not is_running(int(words(log)[0]))


def test_nothing_survives_a_killed_starter(tmp_path):
    """When the starter gets SIGKILL, the command, its children and its scratch folder go."""
    scratch, log = tmp_path / "scratch", tmp_path / "log"
    scratch.mkdir()
    argv = [sys.executable, "-c", STARTER, str(scratch), str(log), STUBBORN]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as starter:
        guard = int(starter.stdout.readline())
        child = int(wait_until(lambda: words(log), 30, "child")[0])
        starter.kill()
    wait_until(lambda: not is_running(guard), 30, "end of the guard")
    assert not is_running(child)
    assert not scratch.exists()


def test_the_command_dies_with_a_killed_guard(tmp_path):
    """Even the guard's own death by SIGKILL ends the command."""
    log = tmp_path / "log"
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with running(python(code, log)) as service:
        pid = int(wait_until(lambda: words(log), 30, "sign of life")[0])
        service.process.kill()
        wait_until(lambda: not is_running(pid), 30, "end of the command")
