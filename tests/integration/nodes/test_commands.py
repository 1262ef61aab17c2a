"""Commands as real processes: what they are given, what is kept of them, and those that do not start."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from batch_emulator.node import process
from batch_emulator.node.failures import AttemptFailed
from tests.integration.nodes.commands import run, stdout

# Python without its site packages starts in a few milliseconds.
PYTHON = f"{sys.executable} -S -E -c"


async def test_output_and_exit_code_are_kept(directory: Path) -> None:
    """stdout, stderr and the exit code of a command are those of its process."""
    ended = await run(directory, "/bin/sh -c 'echo out; echo err >&2; exit 7'")
    assert ended == process.Exit(7, "itself")
    assert stdout(directory) == "out\n"
    assert (directory / "stderr.txt").read_text() == "err\n"


async def test_command_lines_run_under_no_shell(directory: Path) -> None:
    """What a shell would expand, pipe or redirect reaches the program as it is written."""
    await run(directory, "printf '%s\\n' $HOME * ; '|' > \"a b\" $(touch x) `id` \\\"q 'it'\"'\"s")
    assert stdout(directory).splitlines() == [
        "$HOME", "*", ";", "|", ">", "a b", "$(touch", "x)", "`id`", '"q', "it's",
    ]  # fmt: skip
    assert os.listdir(directory / "wd") == []


async def test_environment_is_what_is_given(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task sees the variables it is given and none of the emulator's own."""
    monkeypatch.setenv("EMULATOR_SECRET", "x")
    await run(directory, "env", NAME="a=b\nc")
    assert "NAME=a=b\nc\n" in stdout(directory)
    assert "EMULATOR_SECRET" not in stdout(directory)


async def test_process_works_in_wd_and_leads_a_session(directory: Path) -> None:
    """A command starts in wd, as leader of a session of its own, with nothing to read on stdin."""
    await run(
        directory,
        f'{PYTHON} "import os,sys; print(os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read())"',
    )
    assert stdout(directory) == f"{directory / 'wd'} True \n"


@pytest.mark.parametrize(
    "name", ["a program", "it's", 'say "hi"', "naïve-程序", "-dash", "semi;colon", "$(x)"]
)
async def test_any_program_name(directory: Path, name: str) -> None:
    """A program of any name starts from the working directory, by bare name and by path, if it is quoted."""
    program = directory / "wd" / name
    program.write_text("#!/bin/sh\necho $1\n")
    program.chmod(0o770)
    quoted = "'" + name.replace("'", "'\"'\"'") + "'"
    assert (await run(directory, f"{quoted} one")).code == 0
    assert stdout(directory) == "one\n"
    assert (await run(directory, f"./{quoted} two")).code == 0
    assert stdout(directory) == "two\n"


async def test_path_comes_before_the_working_directory(directory: Path) -> None:
    """An input file named like a program does not take the program's place."""
    (directory / "wd" / "env").write_text("#!/bin/sh\necho fake\n")
    (directory / "wd" / "env").chmod(0o770)
    await run(directory, "env")
    assert "AZ_BATCH_TASK_DIR=" in stdout(directory)


async def failure(directory: Path, command_line: str) -> tuple[str, str]:
    with pytest.raises(AttemptFailed) as error:
        await run(directory, command_line)
    return error.value.failure.code, dict(error.value.failure.details)["Message"]


@pytest.mark.parametrize("line", ["no-such-program x", "./absent", "/no/such/program", "''", "$HOME/x", "."])
async def test_missing_program(directory: Path, line: str) -> None:
    """A program that isn't there is CommandProgramNotFound, in the service's words."""
    assert await failure(directory, line) == (
        "CommandProgramNotFound",
        "The system cannot find the file specified",
    )
    assert (directory / "stdout.txt").read_bytes() == b""


@pytest.mark.parametrize(
    ("mode", "content"),
    [(0o640, "#!/bin/sh\n"), (0o770, "#!/no/such/interpreter\n"), (0o770, "\0\0\0\0")],
    ids=["not executable", "no interpreter", "no program"],
)
async def test_program_that_does_not_start(directory: Path, mode: int, content: str) -> None:
    """A file that is there and can't be run is CommandLaunchFailed, with the reason."""
    (directory / "wd" / "program").write_text(content)
    (directory / "wd" / "program").chmod(mode)
    code, message = await failure(directory, "./program")
    assert code == "CommandLaunchFailed"
    assert message


async def test_open_quote(directory: Path) -> None:
    """A command line with a quote that isn't closed is CommandLaunchFailed."""
    assert (await failure(directory, "echo 'a"))[0] == "CommandLaunchFailed"


async def test_argument_too_long(directory: Path) -> None:
    """Arguments that the system refuses are CommandLaunchFailed."""
    assert (await failure(directory, "echo " + "x" * 3_000_000))[0] == "CommandLaunchFailed"


async def test_huge_output_goes_straight_to_disk(directory: Path) -> None:
    """100 MB of stdout cost the emulator no memory and are complete."""
    before = psutil.Process().memory_info().rss
    assert (await run(directory, "head -c 100000000 /dev/zero")).code == 0
    assert (directory / "stdout.txt").stat().st_size == 100_000_000
    assert psutil.Process().memory_info().rss - before < 20_000_000


async def test_without_pidfd_a_thread_watches(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform without pidfd_open processes are watched all the same."""
    monkeypatch.delattr(os, "pidfd_open")
    assert await run(directory, "/bin/sh -c 'exit 4'") == process.Exit(4, "itself")
    assert (await run(directory, "sleep 60", limit_seconds=0.1)).cause == "limit"


def test_runs_in_a_loop_of_another_thread(directory: Path) -> None:
    """Commands run in an event loop that isn't the main thread's."""

    async def in_thread() -> process.Exit:
        return await asyncio.to_thread(asyncio.run, run(directory, "/bin/sh -c 'exit 5'"))

    assert asyncio.run(in_thread()) == process.Exit(5, "itself")
