"""Several files in one Batch task: each is still told, kept, repeated and fetched by itself."""

import json
import threading
from pathlib import Path

import pytest

from batch_emulator import control_client as control
from flows.fan_out import fan_out
from tasks.batch_tasks import add_first_tasks
from tasks.bodies.batch_tasks import TaskPlan
from tasks.containers import create_containers, delete_containers
from tasks.errors import FilesFailedError, JobError
from tasks.jobs import create_job, delete_jobs
from tasks.reuse.earlier_seconds import measure_earlier
from tasks.spec.bundles import make_bundles, outcomes_blob
from tasks.spec.command_line import build_command
from tasks.spec.naming import RunNames, names_of_run
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec
from tasks.spec.work import make_item
from tests.flows.attempts import COMMAND, KEEP_ALL, running_elsewhere
from tests.flows.services import batch, blobs, tasks_of, write_files
from tests.waiting import wait_until

# Files that are run one after another may be in any order.
ALL_AT_ONCE = {"overrides": {"requiredSlots": 4}}
FILES = {f"{number:02}.txt": f"text {number}" for number in range(7)} | {"sub/ä b.txt": "odd name"}


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", FILES)


def test_files_that_share_a_batch_task_are_told_one_by_one(accounts, inputs, tmp_path, caplog):
    """Eight files in three tasks: one that fails has its exit code, logs and words, all others have their
    outputs, a program and a file that all get are there, and what is printed is shown as it comes."""
    script = tmp_path / "app.sh"
    script.write_text(
        'case "$1" in *03*) echo "cannot do 03" >&2; exit 3;; esac; cat "$1" for-all.txt > "$2"\n'
    )
    (tmp_path / "for-all.txt").write_text("!")
    with pytest.raises(FilesFailedError) as caught:
        fan_out(
            inputs,
            str(script),
            "sh {application} {input} {output}",
            tmp_path / "out",
            files_per_task=3,
            stream_output="03.txt",
            max_task_retry_count=1,
            task={"files": [{"local_path": str(tmp_path / "for-all.txt")}]},
        )
    result = caught.value.result
    assert {file.name: (file.state, file.exit_code, file.task.tries) for file in result.files} == {
        **dict.fromkeys(FILES, ("succeeded", 0, 1)),
        "03.txt": ("failed", 3, 2),
    }
    assert {name: Path(path).read_text() for name, path in result.outputs.items()} == {
        name: f"{text}!" for name, text in FILES.items() if name != "03.txt"
    }
    assert all(file.task.seconds is not None and file.task.node_id for file in result.files)
    assert "1 of 8 files failed" in str(caught.value)
    assert "    cannot do 03" in str(caught.value)
    kept = tmp_path / "out" / ".logs" / result.run_key / "03.txt" / "stderr.txt"
    assert kept.read_text() == "cannot do 03\n"
    assert "3 Batch tasks for 8 files" in caplog.text
    assert "8 of 8 files done, 1 of them failed; 3 of 3 Batch tasks completed" in caplog.text
    assert "03.txt | cannot do 03" in caplog.text


def test_a_step_that_is_repeated_leaves_what_bundles_have_noted(accounts, run_key, monkeypatch):
    """Tasks that it has added before may run by now."""
    names, spec = names_of_run(run_key), RunSpec(inputs="in", command="cat {input}")
    create_containers.fn(names, spec)
    job, plan = create_job.fn(names, spec), TaskPlan(names, spec, build_command(spec.command, None))
    first, second = make_bundles([make_item(f"{n}.txt", f"{n}.out", n * 32, "recipe") for n in "abcd"], 2)
    add_first_tasks.fn("", job, [first], plan)
    noted = blobs().get_blob_client(names.output_container, outcomes_blob(job.id, first.task_id))
    noted.upload_blob(b'{"a": 1}', overwrite=True)
    monkeypatch.setenv("PREFECT__RUNTIME__TASK_RUN__RUN_COUNT", "2")
    add_first_tasks.fn("", job, [first, second], plan)
    assert noted.download_blob().readall() == b'{"a": 1}'
    assert set(tasks_of(run_key)) == {first.task_id, second.task_id}
    delete_jobs.fn(names)
    delete_containers.fn(names)


@pytest.mark.soak
def test_a_second_attempt_waits_for_what_is_under_way(kept, tmp_path, caplog):
    """The driver is killed while a file of the first task runs: no file is run twice, though other numbers of
    files are to share a task by then; one that fails is run by itself in a third attempt."""
    inputs = write_files(tmp_path / "in", {f"{number}.txt": f"text {number}" for number in range(5)})
    script = tmp_path / "app.sh"
    script.write_text(
        f"""echo "$1" >> {tmp_path}/ran
        case "$1" in *0.txt) ;; *) while [ -e {tmp_path}/hold ]; do sleep 0.1; done ;; esac
        case "$1" in *4.txt) if [ ! -e {tmp_path}/healed ]; then touch {tmp_path}/healed; exit 1; fi ;; esac
        cp "$1" "$2"\n"""
    )
    options = {"run_key": kept, "cleanup": KEEP_ALL}
    with running_elsewhere(tmp_path, kept, str(script), KEEP_ALL, files_per_task=3) as driver:
        wait_until(lambda: len(tasks_of(kept)) == 2, 60, "the Batch tasks")
        driver.kill()
        first = set(tasks_of(kept))
        let_go = threading.Thread(target=lambda: let_go_once_submitted(caplog, tmp_path / "hold"))
        let_go.start()
        with pytest.raises(FilesFailedError, match=r"4\.txt: exit code 1") as caught:
            fan_out(inputs, str(script), COMMAND, tmp_path / "out", files_per_task=2, **options)
        let_go.join()
    assert set(tasks_of(kept)) == first
    assert len(caught.value.result.outputs) == 4
    result = fan_out(inputs, str(script), COMMAND, tmp_path / "out", files_per_task=2, **options)
    assert sorted((tmp_path / "ran").read_text().split()) == [
        *(f"inputs/{number}.txt" for number in range(5)),
        "inputs/4.txt",
    ]
    assert len(result.outputs) == 5
    assert "1 Batch task for 1 file" in caplog.text


def let_go_once_submitted(caplog, hold: Path) -> None:
    wait_until(lambda: "In the job" in caplog.text, 60, "the second attempt")
    hold.unlink()


def test_what_is_done_is_there_though_its_task_is_not(accounts, tmp_path, run_key, monkeypatch, caplog):
    """The job is deleted while some files hang: those that are done have their outputs, or have failed."""
    monkeypatch.setattr("tasks.watch.bundle_watch.LOOK_SECONDS", 0.5)
    inputs = write_files(tmp_path / "in", {name: name for name in ("done", "fails", "hangs", "hangs too")})
    command = (
        """sh -c 'case "$FAN_OUT_NAME" in fails) exit 3;; hangs*) sleep 300;; esac; cat "$FAN_OUT_INPUT"'"""
    )
    pool, options = PoolSpec(task_slots_per_node=4), {"files_per_task": 4, "task": ALL_AT_ONCE}
    thread = threading.Thread(target=lambda: delete_job_once_two_are_done(caplog, run_key))
    thread.start()
    with pytest.raises(JobError) as caught:
        fan_out(inputs, None, command, tmp_path / "out", pool, run_key=run_key, **options)
    thread.join()
    states = {file.name: file.state for file in caught.value.result.files}
    assert states == {
        "done": "succeeded",
        "fails": "failed",
        "hangs": "unfinished",
        "hangs too": "unfinished",
    }
    assert (tmp_path / "out" / "done_OUTPUT").read_text() == "done"


def delete_job_once_two_are_done(caplog, run_key: str) -> None:
    said = "2 of 4 files done, 1 of them failed; 0 of 1 Batch tasks completed"
    wait_until(lambda: said in caplog.text, 60, "progress of files")
    batch().begin_delete_job(names_of_run(run_key).job_id, polling_interval=1).wait()


@pytest.mark.soak
def test_the_number_of_files_is_found(accounts, tmp_path, caplog):
    """The first run knows nothing of its files; what they took is there for the next."""
    inputs = write_files(tmp_path / "in", {f"{number}": "" for number in range(12)})
    command, options = "sh -c 'sleep $(cat \"$FAN_OUT_INPUT\")0.1'", {"files_per_task": "auto"}
    first = fan_out(inputs, None, command, tmp_path / "out", **options)
    assert len(first.outputs) == 12
    assert "4 Batch tasks for 12 files" in caplog.text
    seconds = [file.task.seconds for file in first.files]
    assert f"{measure_earlier(tmp_path / 'out'):.3f}" == f"{sum(seconds) / len(seconds):.3f}"


def test_a_preempted_node_costs_only_the_file_that_ran(accounts, batch_account, tmp_path, run_key):
    """Its bundle begins again on another node, and goes on behind what was done."""
    inputs = write_files(tmp_path / "in", {f"{number}": "" for number in range(4)})
    ran, hangs = tmp_path / "ran", tmp_path / "hangs"
    command = f"""sh -c 'echo "$FAN_OUT_NAME" >> {ran}
        if [ "$FAN_OUT_NAME" = 3 ] && [ ! -e {hangs} ]; then touch {hangs}; sleep 300; fi'"""
    names = names_of_run(run_key)

    def preempt_once_it_hangs() -> None:
        wait_until(hangs.exists, 60, "the last file")
        wait_until(lambda: count_outcomes(names) == 3, 60, "outcomes")
        for node in batch().list_nodes(names.pool_id):
            control.strike_node(batch_account, names.pool_id, node.id, "preempt")

    thread = threading.Thread(target=preempt_once_it_hangs)
    thread.start()
    pool = PoolSpec(dedicated_nodes=0, low_priority_nodes=1, task_slots_per_node=4)
    options = {"files_per_task": 4, "task": ALL_AT_ONCE, "run_key": run_key}
    result = fan_out(inputs, None, command, tmp_path / "out", pool, **options)
    thread.join()
    assert len(result.outputs) == 4
    assert sorted(ran.read_text().split()) == ["0", "1", "2", "3", "3"]


def count_outcomes(names: RunNames) -> int:
    """How many files the only bundle of a run has noted as done."""
    found = blobs().get_container_client(names.output_container)
    [name] = [blob.name for blob in found.list_blobs() if blob.name.startswith(".logs/.bundles/")]
    return len(json.loads(found.download_blob(name).readall()))
