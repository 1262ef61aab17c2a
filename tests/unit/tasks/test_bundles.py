"""Bundles as data: which files share a Batch task, what it is told, what its outcomes mean."""

import json
from datetime import datetime, timezone

import pytest

from tasks.azure.sas import Signer, validity
from tasks.bodies.batch_tasks import TaskPlan, build_common, build_task
from tasks.bodies.bundles import NODE, RUNNER, build_bundle_task, build_manifest
from tasks.errors import InputError
from tasks.plans import plan_run
from tasks.spec.bundle_sizes import choose_files_per_task
from tasks.spec.bundles import make_bundle, make_bundles
from tasks.spec.command_line import build_command
from tasks.spec.file_results import describe_problem
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunSpec
from tasks.spec.work import make_item
from tasks.watch.bundle_outcomes import read_outcome, read_outcomes
from tasks.watch.progress import Counts, FileCounts

SIGNER = Signer(
    "acc",
    "https://acc.blob.core.windows.net",
    *validity(datetime(2026, 1, 1, tzinfo=timezone.utc), 60),
    "c2Vj",
)
OUT = "https://acc.blob.core.windows.net/output-run?sig=out"
ITEMS = [make_item(f"{name}.txt", f"{name}.out", name * 32, "recipe") for name in "abcde"]


def make_tasks() -> tuple[list[dict], dict]:
    """The bodies of two files' own tasks, and what all tasks have in common."""
    spec = RunSpec(
        inputs="in",
        application="app.py",
        command="python3 {application} {input} 'x y'",
        task={"environment": {"LEVEL": "1"}},
    )
    command = build_command(spec.command, "1234/app.py", on_shared=False)
    plan = TaskPlan(names_of_run("run"), spec, command, "1234/app.py")
    bare = {"environmentSettings": [], "resourceFiles": []}
    return [build_task(item, plan, SIGNER, OUT, bare) for item in ITEMS[:2]], build_common(plan, SIGNER)


def test_a_bundle_is_named_after_what_makes_its_outputs():
    """Another member, or another content of one, is another bundle; another order is not."""
    assert [len(bundle.items) for bundle in make_bundles(ITEMS, 2)] == [2, 2, 1]
    bundle = make_bundle(ITEMS[:2])
    assert bundle.task_id == make_bundle(reversed(ITEMS[:2])).task_id
    changed = make_item("b.txt", "b.out", "0" * 32, "recipe")
    others = [make_bundle([ITEMS[0], changed]), make_bundle(ITEMS[:1]), make_bundle(ITEMS[:3])]
    assert len({bundle.task_id, *(other.task_id for other in others)}) == 4
    assert len(make_bundles(ITEMS * 200, 1000)[0].task_id) <= 64


def test_no_signature_of_a_file_is_in_the_task_s_body_command_or_environment():
    """The body of a bundle's task is small however many files it has: what there is of each is in a file."""
    tasks, common = make_tasks()
    runner = [{"httpUrl": "https://runner", "filePath": ".bundle/run_bundle.py"}]
    body = build_bundle_task(make_bundle(ITEMS[:2]), tasks, runner, common, "job", "https://own")
    paths = [file["filePath"] for file in body["resourceFiles"]]
    assert paths == [".bundle/run_bundle.py", "application/1234/app.py"]
    assert body["environmentSettings"] == [
        {"name": "LEVEL", "value": "1"},
        {"name": "FAN_OUT_NAME", "value": "2 files, a.txt to b.txt"},
    ]
    assert "sig=" not in json.dumps([body["commandLine"], body["environmentSettings"]])
    assert [file["destination"]["container"]["path"] for file in body["outputFiles"]] == [
        f".logs/.bundles/job/{body['id']}.json",
        f".logs/{body['id']}/stdout.txt",
        f".logs/{body['id']}/stderr.txt",
    ]


def test_a_manifest_has_what_each_file_s_own_task_would_have():
    """But for the application, of which a bundle has one copy."""
    tasks, _ = make_tasks()
    manifest = build_manifest(tasks, ("read", "write"), at_once=2, max_tries=3, limit_seconds=60)
    for item, own, task in zip(ITEMS[:2], manifest["tasks"], tasks, strict=True):
        assert [file["filePath"] for file in own["resourceFiles"]] == [f"inputs/{item.name}"]
        parts = ("id", "commandLine", "environmentSettings", "outputFiles")
        assert {part: own[part] for part in parts} == {part: task[part] for part in parts}
    assert (manifest["at_once"], manifest["max_tries"], manifest["limit_seconds"]) == (2, 3, 60)


NOTED = {
    "exit_code": None,
    "tries": 2,
    "seconds": None,
    "node_id": "node-1",
    "ended_at": "2026-01-01T00:00:05+00:00",
    "category": "UserError",
    "code": "BlobNotFound",
    "message": "The input could not be fetched: HTTP 404 at https://a/b?sv=1&sig=abc",
}


def test_an_outcome_is_told_as_a_batch_task_is():
    """A file that has run has its own result, whatever its bundle came to; no message has a signature."""
    result = read_outcome(ITEMS[0], NOTED)
    assert result is not None
    assert (result.task_id, result.tries, result.succeeded) == (ITEMS[0].task_id, 2, False)
    said = describe_problem(result, has_output=False)
    assert said.startswith("did not run (UserError: BlobNotFound: The input could not be fetched: HTTP 404")
    assert "abc" not in said


@pytest.mark.parametrize("noted", [b"", b"\xff\x00", b"[1]", b"{", b"[" * 100_000, b'"x"', b"1e999"])
def test_what_a_program_has_written_over_the_outcomes_says_nothing(noted):
    """It fails no run: each output tells what became of its file."""
    assert read_outcomes(noted) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"ended_at": "soon"},
        {"ended_at": "2026-01-01T00:00:05"},
        {"seconds": float("nan")},
        {"seconds": -1},
        {"tries": None},
        {"category": "Error"},
        {"message": {"a": 1}},
        {"exit_code": "many"},
    ],
    ids=str,
)
def test_an_outcome_that_no_runner_would_note_is_none(changes):
    """Nor does one of another kind, or a part of one."""
    assert read_outcome(ITEMS[0], NOTED | changes) is None
    assert read_outcome(ITEMS[0], [NOTED]) is None
    assert read_outcome(ITEMS[0], dict(list(NOTED.items())[:3])) is None


def test_progress_speaks_of_files():
    """How many files are done, with the Batch tasks that they share beside it."""
    counts = Counts(10, waiting=4, running=2, completed=4, failed=1, files=FileCounts(100, 40, 3))
    assert str(counts) == (
        "40 of 100 files done, 3 of them failed; 4 of 10 Batch tasks completed, 2 running, 4 waiting"
    )
    assert counts.brief() == "40/100 files, 3 failed, 2 Batch tasks running, 4 waiting"
    assert (counts.done, counts.left) == ((40, 100), 60)


def test_what_does_not_go_with_bundles_is_refused_in_the_plan(tmp_path):
    """A container's image need not have Python; tries and time are each file's; nodes are counted by tasks,
    of which there are fewer."""
    (tmp_path / "in").mkdir()
    for number in range(100):
        (tmp_path / "in" / f"{number}").write_text("")
    described = {
        "inputs": str(tmp_path / "in"),
        "command": "cat {input}",
        "output_dir": str(tmp_path / "out"),
    }
    with pytest.raises(InputError, match=r"files_per_task and task\.container\.image"):
        plan_run(
            RunSpec(**described, run_key="run", files_per_task=2, task={"container": {"image": "alpine"}})
        )
    for name, value, other in (
        ("maxTaskRetryCount", 3, "max_task_retry_count"),
        ("maxWallClockTime", "PT10M", "max_wall_clock_minutes"),
    ):
        task = {"overrides": {"constraints": {name: value}}}
        with pytest.raises(InputError, match=rf"files_per_task and .*{name} don't go together.*Give {other}"):
            plan_run(RunSpec(**described, run_key="run", files_per_task="auto", task=task))
    with pytest.raises(InputError, match=r"100 in each Batch task: 39.*Ask for 1 node \("):
        plan_run(RunSpec(**described, run_key="run", files_per_task=100, nodes=40))
    with pytest.raises(
        InputError, match=r"40 nodes for 100 files, 50 in each Batch task: 38.*Ask for 2 nodes"
    ):
        plan_run(RunSpec(**described, run_key="run", files_per_task=50, nodes=40))


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        # Fewer files than keep the slots busy four times: each is a task by itself.
        (1, {"count": 31, "size_bytes": 31, "slots": 8}),
        # Nobody knows how long they take: no more than a few minutes of one second each.
        (10, {"count": 320, "size_bytes": 320, "slots": 8}),
        (100, {"count": 1_000_000, "size_bytes": 1_000_000, "slots": 8}),
        # A task is to take a minute, on all its slots.
        (1, {"count": 1_000_000, "size_bytes": 1, "slots": 8, "seconds_each": 100.0}),
        (30, {"count": 1_000_000, "size_bytes": 1, "slots": 8, "seconds_each": 2.0}),
        (120, {"count": 1_000_000, "size_bytes": 1, "slots": 8, "seconds_each": 2.0, "at_once": 4}),
        (1000, {"count": 1_000_000, "size_bytes": 1, "slots": 8, "seconds_each": 0.0}),
        # Large files: no more than 256 MB on their way to a node.
        (2, {"count": 10_000, "size_bytes": 10_000 * (100 << 20), "slots": 8, "seconds_each": 0.1}),
    ],
)
def test_auto_is_drawn_from_number_sizes_pool_and_seconds(expected, given):
    """The least of what keeps all slots busy, what is soon on its node, and what lasts a minute."""
    assert choose_files_per_task(**given) == expected


def test_what_runs_a_bundle_is_where_it_is_looked_for():
    """The files that are sent to the nodes with a bundle are there."""
    assert all((NODE / name).is_file() for name in RUNNER)
