"""A result is right or it is not there: what an output is taken for is what made it."""

import signal
from pathlib import Path

import pytest

from flows.fan_out import fan_out
from tasks.errors import FilesFailedError
from tasks.spec.naming import names_of_run
from tasks.spec.run_results import RunResult
from tasks.spec.specs import Cleanup
from tasks.spec.task_specs import TaskSpec
from tests.flows.attempts import KEEP_ALL, running_elsewhere
from tests.flows.drivers import Death, Drive, Drivers, drivers
from tests.flows.services import batch, blobs, blobs_of, write_files
from tests.sampling import sample
from tests.waiting import wait_until

FILES = {f"{number}.txt": "a b c\n" for number in range(3)}


def run(folder: Path, run_key: str, text: str = "cat $1", **changes) -> RunResult:
    """Run a program of this text over the files; all that a run makes is kept."""
    program = folder / "program.sh"
    program.write_text(text)
    write_files(folder / "in", FILES)
    options = {
        "application": str(program),
        "command": "sh {application} {input}",
        "cleanup": KEEP_ALL,
        **changes,
    }
    return fan_out(inputs=str(folder / "in"), output_dir=str(folder / "out"), run_key=run_key, **options)


def read_outputs(result: RunResult) -> set[str]:
    return {Path(path).read_text().strip() for path in result.outputs.values()}


def list_states(result: RunResult) -> set[str]:
    return {file.state for file in result.files}


CHANGES = {
    "command": ({"command": "wc -w {input}"}, "3"),
    "program": ({"text": "wc -w < $1"}, "3"),
    "environment": ({"text": "echo $GREETING", "task": TaskSpec(environment={"GREETING": "hi"})}, "hi"),
    "output name": ({"output_name": "{stem}.new"}, "a b c"),
}
CASES = {
    f"{what}, {outputs}": (*change, outputs == "on disk")
    for what, change in CHANGES.items()
    for outputs in ("on disk", "gone")
}


@pytest.mark.parametrize(
    ("changes", "expected", "on_disk"),
    sample(CASES, "program, gone"),
)
def test_another_way_of_making_outputs_makes_them_anew(kept, tmp_path, changes, expected, on_disk):
    """With the key of a run whose job, pool and outputs were kept, other work is other work."""
    assert read_outputs(run(tmp_path, kept)) == {"a b c"}
    if not on_disk:
        for path in (tmp_path / "out").iterdir():
            path.unlink()
    result = run(tmp_path, kept, **changes)
    assert list_states(result) == {"succeeded"}
    assert {text.split()[0] if expected == "3" else text for text in read_outputs(result)} == {expected}
    # And a later run, under another key, does not take the first outputs for these.
    later = run(tmp_path, f"{kept}-later", **changes)
    assert list_states(later) == {"unchanged"}


def test_a_kept_job_is_no_proof_that_outputs_exist(kept, tmp_path):
    """With the job kept and the containers gone, outputs on disk hold, and those that are not run again."""
    only_job = Cleanup(job="never")
    run(tmp_path, kept, cleanup=only_job)
    (tmp_path / "out" / "1_OUTPUT.txt").unlink()
    result = run(tmp_path, kept, cleanup=only_job)
    states = {file.name: file.state for file in result.files}
    assert states == {"0.txt": "unchanged", "1.txt": "succeeded", "2.txt": "unchanged"}
    assert read_outputs(result) == {"a b c"}


def test_outputs_in_the_container_are_fetched_and_not_made_again(kept, tmp_path):
    """Outputs that are gone from the disk come from the container that kept them; no task runs."""
    run(tmp_path, kept)
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    result = run(tmp_path, kept)
    assert (list_states(result), result.job_id, read_outputs(result)) == ({"succeeded"}, "", {"a b c"})


def test_a_failed_file_is_run_again_though_its_job_was_kept(kept, tmp_path):
    """A later run with the same key runs what failed, and nothing else."""
    ran = tmp_path / "ran"
    text = f"echo $1 >> {ran}; cat $1; [ -e {tmp_path}/mended ] || case $1 in *1.txt) exit 3;; esac"
    with pytest.raises(FilesFailedError, match="1 of 3 files failed"):
        run(tmp_path, kept, text)
    (tmp_path / "mended").touch()
    assert len(run(tmp_path, kept, text).outputs) == 3
    assert sorted(ran.read_text().split()) == [
        f"inputs/{name}" for name in ("0.txt", "1.txt", "1.txt", "2.txt")
    ]


def test_refresh_runs_all_though_the_run_s_outputs_are_there(kept, tmp_path):
    """`refresh` takes nothing from an earlier attempt either."""
    text = f"echo x >> {tmp_path}/ran; cat $1"
    run(tmp_path, kept, text)
    assert list_states(run(tmp_path, kept, text, refresh=True)) == {"succeeded"}
    assert len((tmp_path / "ran").read_text().split()) == 6


@pytest.mark.soak
def test_a_killed_run_goes_on_with_another_command(kept, tmp_path):
    """Tasks of the earlier command, waiting or running, are stopped: no output of theirs is taken."""
    write_files(tmp_path / "in", FILES)
    program = tmp_path / "app.sh"
    program.write_text(
        f'echo "$1" >> {tmp_path}/ran\nwhile [ -e {tmp_path}/hold ]; do sleep 0.1; done\ncp "$1" "$2"\n'
    )
    job_id = names_of_run(kept).job_id
    with running_elsewhere(tmp_path, kept, str(program)) as process:
        wait_until(lambda: len(list(batch().list_tasks(job_id))) == 3, 60, "three Batch tasks")
        process.kill()
        process.wait()
    result = run(tmp_path, kept, command="wc -w {input}", application=None)
    assert {text.split()[0] for text in read_outputs(result)} == {"3"}


def test_a_blob_of_other_work_is_no_output(kept, tmp_path):
    """A program that writes nothing fails, though a blob of that name lies in the output container."""
    run(tmp_path, kept)
    with pytest.raises(FilesFailedError, match="wrote no output"):
        run(tmp_path, kept, command="true {input} {output}", application=None)
    listed = blobs().get_container_client(names_of_run(kept).output_container).list_blobs()
    assert {blob.name for blob in listed} >= {"0_OUTPUT.txt"}
    # A clean-up keeps it: on disk the former output was set aside.
    blobs().delete_container(names_of_run(kept).output_container)


def test_partial_files_of_a_killed_run_are_removed(kept, tmp_path):
    """What a killed driver had begun to download lies in no user's way, and is nobody's input."""
    partial = tmp_path / "out" / ".partial" / ("0" * 32)
    partial.parent.mkdir(parents=True)
    partial.write_text("half")
    run(tmp_path, kept)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{number}_OUTPUT.txt" for number in range(3)
    ]


@pytest.mark.soak
def test_tasks_of_a_former_input_never_read_the_present_one(kept, tmp_path):
    """An attempt that died with another input uploaded changes nothing for tasks that still wait."""
    program = write_program(tmp_path)
    parameters = {
        "inputs": str(tmp_path / "in"),
        "application": str(program),
        "command": "sh {application} {input}",
        "output_dir": str(tmp_path / "out"),
        "run_key": kept,
        "cleanup": KEEP_ALL.model_dump(),
    }

    def attempt(server: Drivers, text: str, death: Death | None) -> int:
        write_files(tmp_path / "in", {"0.txt": "runs", "1.txt": text})
        return server.run(Drive(parameters, str(tmp_path / "effects"), str(tmp_path / "log"), death))

    names, container = names_of_run(kept), names_of_run(kept).output_container
    added = Death(0, is_after=True, words="PATCH /jobs")
    uploaded = Death(0, is_after=True, words=f"PUT /devstoreaccount1/{names.input_container}/")
    with drivers() as server:
        assert attempt(server, "former", added) == -signal.SIGKILL
        assert attempt(server, "present", uploaded) == -signal.SIGKILL
        (tmp_path / "hold").unlink()
        wait_until(lambda: len(blobs_of(container)) == 2, 60, "two outputs")
        assert attempt(server, "former", None) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "out" / "1_OUTPUT.txt").read_text() == "former"


def write_program(folder: Path) -> Path:
    """A program that waits while a file is there."""
    (folder / "hold").touch()
    program = folder / "app.sh"
    program.write_text(f'while [ -e {folder}/hold ]; do sleep 0.1; done\ncat "$1"\n')
    return program
