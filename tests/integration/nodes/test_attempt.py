"""Whole attempts: directory, environment, files in, process, files out, outcome."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from batch_emulator.node.launch import Outcome
from batch_emulator.node.process_runner import ProcessRunner
from tests.integration.nodes.storing import (
    output,
)
from tests.integration.nodes.tasks import TASK, blob_names, folder, start, text
from tests.integration.nodes.waiting import wait_until


async def test_successful_attempt(runner: ProcessRunner) -> None:
    """A command that ends with 0 is a success with its output in the task's directory."""
    assert await start(runner, "/bin/sh -c 'echo out; echo err >&2'") == Outcome(0)
    assert (text(runner), text(runner, "stderr.txt")) == ("out\n", "err\n")
    assert sorted(os.listdir(folder(runner))) == ["certs", "stderr.txt", "stdout.txt", "wd"]


async def test_environment_of_a_task(runner: ProcessRunner, tmp_path: Path) -> None:
    """A task sees its directories, what it was given, and a usable PATH, HOME and LANG; a setting is never
    expanded and moves no directory."""
    environment = {
        "AZ_BATCH_TASK_ID": "task1",
        "MINE": "$HOME",
        "AZ_BATCH_TASK_DIR": "/elsewhere",
        "LANG": "de",
    }
    await start(
        runner,
        "env",
        environment=environment,
        job_preparation_directory="workitems/job1/job-1/jobpreparation",
    )
    root = tmp_path.resolve() / "nodes" / "pool1" / "n1"
    task = root / TASK
    seen = dict(line.split("=", 1) for line in text(runner).splitlines())
    assert seen.pop("PATH")
    assert seen == {
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": str(root / "shared"),
        "AZ_BATCH_NODE_STARTUP_DIR": str(root / "startup"),
        "AZ_BATCH_NODE_MOUNTS_DIR": str(root / "fsmounts"),
        "AZ_BATCH_TASK_DIR": str(task),
        "AZ_BATCH_TASK_WORKING_DIR": str(task / "wd"),
        "AZ_BATCH_CERTIFICATES_DIR": str(task / "certs"),
        "AZ_BATCH_JOB_PREP_DIR": str(root / "workitems/job1/job-1/jobpreparation"),
        "AZ_BATCH_JOB_PREP_WORKING_DIR": str(root / "workitems/job1/job-1/jobpreparation/wd"),
        "AZ_BATCH_TASK_ID": "task1",
        "MINE": "$HOME",
        "HOME": str(task / "wd"),
        "LANG": "de",
    }


async def test_nonzero_exit(runner: ProcessRunner) -> None:
    """A nonzero exit is a UserError in the service's words, and may be retried."""
    outcome = await start(runner, "/bin/sh -c 'exit 3'")
    assert (outcome.exit_code, outcome.retriable, outcome.preprocessing_failure) == (3, True, False)
    assert outcome.failure is not None
    assert (outcome.failure.category, outcome.failure.code) == ("UserError", "FailureExitCode")
    assert outcome.failure.message == "The task exited with an exit code representing a failure"
    assert outcome.failure.details == (
        ("Message", "The task process exited with an unexpected exit code"),
        ("AdditionalErrorCode", "FailureExitCode"),
    )


async def test_program_not_found(runner: ProcessRunner) -> None:
    """A program that isn't there fails before the start, with empty output files and no exit code."""
    outcome = await start(runner, "no-such-program")
    assert (outcome.exit_code, outcome.retriable, outcome.preprocessing_failure) == (None, False, True)
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.message, outcome.failure.details) == (
        "CommandProgramNotFound",
        "The specified command program is not found",
        (("Message", "The system cannot find the file specified"),),
    )
    assert sorted(os.listdir(folder(runner))) == ["certs", "stderr.txt", "stdout.txt", "wd"]


async def test_wall_clock_limit(runner: ProcessRunner) -> None:
    """A task over its limit is ended, not retried, and says which limit it was."""
    outcome = await start(runner, "sleep 60", max_wall_clock_seconds=0.2)
    assert (outcome.exit_code, outcome.retriable, outcome.stopped) == (-signal.SIGTERM, False, False)
    assert outcome.failure is not None
    assert (outcome.failure.category, outcome.failure.code) == ("UserError", "TaskEnded")
    assert dict(outcome.failure.details) == {
        "Message": "The maximum execution time configured on the task was exceeded"
    }


async def test_first_attempt_has_a_fresh_directory(runner: ProcessRunner) -> None:
    """An attempt that is no retry begins with an empty directory, also where one of that name was."""
    await start(runner, "touch left")
    assert (folder(runner) / "wd" / "left").exists()
    await start(runner, "ls -A")
    assert text(runner) == ""


async def test_retry_keeps_the_directory(runner: ProcessRunner, task_container_url: str) -> None:
    """A retry finds the files of the attempt before, downloads nothing again and has new output files."""
    with ContainerClient.from_container_url(task_container_url) as container:
        container.upload_blob("in", b"in")
    files = [{"httpUrl": task_container_url.replace("?", "/in?"), "filePath": "in"}]
    outcome = await start(
        runner, "/bin/sh -c 'echo 1; mv in done; exit 1'", resource_files=files, retries_left=True
    )
    assert outcome.retriable
    await start(runner, "/bin/sh -c 'ls -A'", resource_files=files, retry=True)
    assert text(runner) == "done\n"


async def test_retry_on_another_node(runner: ProcessRunner, task_container_url: str) -> None:
    """A retry on a node where the task has not been has its resource files downloaded there."""
    with ContainerClient.from_container_url(task_container_url) as container:
        container.upload_blob("in", b"in")
    files = [{"httpUrl": task_container_url.replace("?", "/in?"), "filePath": "in"}]
    await start(runner, "false", resource_files=files, retries_left=True)
    await start(runner, "cat in", resource_files=files, retry=True, node_id="n2")
    assert (folder(runner, node_id="n2") / "stdout.txt").read_text() == "in"


async def test_files_go_in_and_out(runner: ProcessRunner, task_container_url: str) -> None:
    """A task gets its resource files before it starts, and its output files are uploaded after it."""
    with ContainerClient.from_container_url(task_container_url) as container:
        container.upload_blob("in put.txt", b"some words")
    outcome = await start(
        runner,
        "/bin/sh -c 'tr a-z A-Z < \"in.txt\" > out.txt; ./tool'",
        resource_files=[
            {"httpUrl": task_container_url.replace("?", "/in%20put.txt?"), "filePath": "in.txt"},
            {"httpUrl": task_container_url.replace("?", "/in%20put.txt?"), "filePath": "tool"},
        ],
        output_files=[output("out.txt", task_container_url), output("../std*.txt", task_container_url)],
    )
    assert outcome.exit_code == 127
    assert blob_names(task_container_url) == {"in put.txt", "out.txt", "stdout.txt", "stderr.txt"}
    with ContainerClient.from_container_url(task_container_url) as container:
        assert container.download_blob("out.txt").readall() == b"SOME WORDS"


async def test_missing_resource_file(runner: ProcessRunner, task_container_url: str) -> None:
    """A resource file that isn't there fails the attempt before its start; nothing runs or is uploaded."""
    outcome = await start(
        runner,
        "echo ran",
        resource_files=[{"httpUrl": task_container_url.replace("?", "/absent?"), "filePath": "x"}],
        output_files=[output("../stdout.txt", task_container_url)],
    )
    assert (outcome.exit_code, outcome.preprocessing_failure, outcome.retriable) == (None, True, False)
    assert outcome.failure is not None
    assert outcome.failure.code == "BlobNotFound"
    assert text(runner) == ""
    assert blob_names(task_container_url) == set()


async def test_nothing_is_uploaded_while_retries_are_left(
    runner: ProcessRunner, task_container_url: str
) -> None:
    """A failed attempt uploads only when it was the last; a successful one always."""
    files = [output("../stdout.txt", task_container_url)]
    await start(runner, "/bin/sh -c 'exit 1'", output_files=files, retries_left=True)
    assert blob_names(task_container_url) == set()
    await start(runner, "true", output_files=files, retries_left=True, retry=True)
    assert blob_names(task_container_url) == {"stdout.txt"}


@pytest.mark.parametrize(
    ("command_line", "code"), [("true", "FileUploadAccessDenied"), ("false", "FailureExitCode")]
)
async def test_failed_upload(
    runner: ProcessRunner, task_container_url: str, command_line: str, code: str
) -> None:
    """An upload that fails makes a success a failure and keeps the exit code; a nonzero exit stays the reason
    of the failure."""
    files = [output("../stdout.txt", task_container_url.replace("sig=", "sig=A"))]
    outcome = await start(runner, command_line, output_files=files)
    assert outcome.exit_code == (command_line == "false")
    assert outcome.upload_failure
    assert outcome.failure is not None
    assert outcome.failure.code == code


async def test_task_over_its_limit_uploads(runner: ProcessRunner, task_container_url: str) -> None:
    """What a task has written until its limit is uploaded under the conditions of a failure."""
    files = [output("../stdout.txt", task_container_url, "taskFailure")]
    line = "/bin/sh -c 'echo x; sleep 60'"
    await start(runner, line, output_files=files, max_wall_clock_seconds=0.3)
    assert blob_names(task_container_url) == {"stdout.txt"}


async def test_limit_covers_downloads(runner: ProcessRunner) -> None:
    """A download that would last longer than the task may is ended with it."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with silent:
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/x"
        outcome = await start(
            runner, "true", resource_files=[{"httpUrl": url, "filePath": "x"}], max_wall_clock_seconds=0.2
        )
        assert outcome.failure is not None
        assert (outcome.failure.code, outcome.exit_code) == ("TaskEnded", None)
        downloading = start(runner, "true", resource_files=[{"httpUrl": url, "filePath": "x"}])
        await wait_until(lambda: (folder(runner) / "wd").exists())
        runner.stop("n1", TASK)
        assert (await downloading).stopped
