"""The runner of a bundle as a node starts it: a process, its manifest, and storage at signed URLs."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.blob_server import Storage
from tests.waiting import wait_until

RUNNER = Path(__file__).parents[2] / "node" / "run_bundle.py"
LOGS = ("stdout.txt", "stderr.txt")
COPY = 'mkdir -p outputs; echo "of $NAME" >&2; cp "inputs/$NAME" outputs/out'


@pytest.fixture
def store() -> Iterator[Storage]:
    with Storage() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def describe(
    store: Storage, names: list[str], script: str = COPY, keeps_all_logs: bool = False, **options: Any
) -> dict[str, Any]:
    """The manifest of a bundle of files of these names."""
    container = f"{store.url}/out?sig=secret"
    return {
        "tasks": [describe_file(store, container, name, script, keeps_all_logs) for name in names],
        "outcomes_write_url": f"{store.url}/out/.logs/bundle?sig=secret",
        "outcomes_read_url": f"{store.url}/out/.logs/bundle?sig=secret",
        "at_once": 1,
        "max_tries": 1,
        "limit_seconds": None,
        **options,
    }


def describe_file(
    store: Storage, container: str, name: str, script: str, keeps_all_logs: bool
) -> dict[str, Any]:
    """What the body of the file's own Batch task would be."""

    def output(pattern: str, blob: str, condition: str, metadata: dict[str, str]) -> dict[str, Any]:
        headers = [{"name": f"x-ms-meta-{key}", "value": value} for key, value in metadata.items()]
        place = {"path": blob, "containerUrl": container, "uploadHeaders": headers}
        options = {"uploadCondition": condition}
        return {"filePattern": pattern, "destination": {"container": place}, "uploadOptions": options}

    when = "taskcompletion" if keeps_all_logs else "taskfailure"
    return {
        "id": name,
        "commandLine": f"/bin/sh -c '{script}'",
        "environmentSettings": [{"name": "NAME", "value": name}],
        "resourceFiles": [
            {"httpUrl": f"{store.url}/in/{quote(name)}?sig=secret", "filePath": f"inputs/{name}"}
        ],
        "outputFiles": [
            output("outputs/out", f"{name}.out", "tasksuccess", {"source": f"source-{name}"}),
            *(output(f"../{log}", f".logs/{name}/{log}", when, {"input": name}) for log in LOGS),
        ],
    }


def start(
    folder: Path, manifest: dict[str, Any], command: tuple[str, ...] = (str(RUNNER),)
) -> subprocess.Popen[bytes]:
    """Start a bundle in a task's working directory, in which there is a file that all tasks get."""
    own = folder / ".bundle"
    own.mkdir(parents=True, exist_ok=True)
    (folder / "extra.txt").write_text("for all")
    (own / "manifest.json").write_text(json.dumps(manifest))
    return subprocess.Popen(
        [sys.executable, *command, ".bundle/manifest.json"],
        cwd=folder,
        env={**os.environ, "AZ_BATCH_NODE_ID": "node-1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def run(folder: Path, manifest: dict[str, Any]) -> int:
    process = start(folder, manifest)
    process.communicate()
    return process.returncode


def outcomes(store: Storage) -> dict[str, Any]:
    return json.loads(store.blobs["out/.logs/bundle"])


def test_each_file_has_its_program_its_output_and_its_outcome(store, tmp_path):
    """Outputs are there with what made them, a failing file has its logs and keeps no other from being run;
    nothing but what was printed stays on the disk, and no signature."""
    large = b"0123456789abcdef" * (1 << 20) + b"end"
    store.blobs.update({"in/a b.txt": b"A", "in/bad": b"B", "in/large": large})
    script = 'test "$NAME" = bad && { echo no >&2; exit 3; }; test -f extra.txt || exit 9; ' + COPY
    names = ["a b.txt", "bad", "missing", "large"]
    assert run(tmp_path, describe(store, names, script=script)) == 1
    assert store.blobs["out/a b.txt.out"] == b"A"
    assert store.headers["out/a b.txt.out"]["x-ms-meta-source"] == "source-a b.txt"
    assert hashlib.md5(store.blobs["out/large.out"]).digest() == hashlib.md5(large).digest()
    assert store.headers["out/large.out"]["x-ms-meta-source"] == "source-large"
    found = outcomes(store)
    assert {name: (one["exit_code"], one["tries"], one["code"]) for name, one in found.items()} == {
        "a b.txt": (0, 1, ""),
        "bad": (3, 1, "FailureExitCode"),
        "missing": (None, 1, "BlobNotFound"),
        "large": (0, 1, ""),
    }
    assert found["bad"]["node_id"] == "node-1"
    assert found["bad"]["seconds"] >= 0
    assert found["bad"]["ended_at"]
    assert store.blobs["out/.logs/bad/stderr.txt"] == b"no\n"
    assert store.headers["out/.logs/bad/stderr.txt"]["x-ms-meta-input"] == "bad"
    assert "out/.logs/large/stderr.txt" not in store.blobs
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    logs = {f".bundle/files/{name}/{log}.txt" for name in names for log in ("stdout", "stderr")}
    assert left - logs == {"extra.txt", ".bundle/outcomes.json"}
    assert not any(b"secret" in (tmp_path / name).read_bytes() for name in left)


def test_a_bundle_that_begins_again_runs_only_what_has_tries_left(store, tmp_path):
    """What succeeded is not run again, nor what has failed as often as it may; requests are repeated."""
    store.blobs.update({f"in/{name}": b"" for name in ("done", "failing", "new")})
    store.blobs["out/.logs/bundle"] = json.dumps(
        {
            "done": {"exit_code": 0, "tries": 1, "category": ""},
            "failing": {"exit_code": 1, "tries": 1, "category": "UserError"},
            "worn": {"exit_code": 1, "tries": 2, "category": "UserError"},
        }
    ).encode()
    store.refusals.update({"in/new": [503], "out/new.out": [500]})
    manifest = describe(store, ["done", "failing", "worn", "new"], max_tries=2, keeps_all_logs=True)
    assert run(tmp_path, manifest) == 1
    assert {name: one["tries"] for name, one in outcomes(store).items()} == {
        "done": 1,
        "failing": 2,
        "worn": 2,
        "new": 1,
    }
    assert store.asked["GET in/done"] == store.asked["GET in/worn"] == 0
    assert store.blobs["out/.logs/new/stderr.txt"] == b"of new\n"
    assert not (tmp_path / ".bundle" / "manifest.json").exists()


def test_the_service_may_repeat_a_bundle_where_it_is(store, tmp_path):
    """Its manifest stays, for nobody else to read, as long as a file has tries left."""
    store.blobs["in/fails"] = b""
    manifest = describe(store, ["fails"], "exit 3", max_tries=2)
    assert run(tmp_path, manifest) == 1
    path = tmp_path / ".bundle" / "manifest.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert run(tmp_path, json.loads(path.read_text())) == 1
    assert outcomes(store)["fails"]["tries"] == 2
    assert not path.exists()


def test_several_programs_run_at_once_and_few_inputs_lie_on_the_disk(store, tmp_path):
    """Where a task has several slots, so many programs run at once; a bundle may exceed the disk."""
    names = [f"{number:02}" for number in range(12)]
    store.blobs.update({f"in/{name}": b"x" for name in names})
    # The first waits for another: with one at a time this would time out.
    script = """cd ../../..; touch $NAME.began $NAME.runs; ls -d files/*/wd | wc -l; ls *.runs | wc -l
        while [ $(ls *.began | wc -l) -lt 2 ]; do sleep 0.01; done; rm $NAME.runs"""
    manifest = describe(store, names, script, at_once=2, limit_seconds=60, keeps_all_logs=True)
    assert run(tmp_path, manifest) == 0
    printed = [store.blobs[f"out/.logs/{name}/stdout.txt"].split() for name in names]
    assert max(int(on_disk) for on_disk, _ in printed) <= 4
    assert max(int(running) for _, running in printed) <= 2


def test_programs_that_run_one_after_another_are_noted_so(store, tmp_path):
    """By when it ended and how long it took, none begins before the one ahead of it has ended."""
    names = [f"{number:02}" for number in range(20)]
    store.blobs.update({f"in/{name}": b"x" for name in names})
    assert run(tmp_path, describe(store, names, "mkdir outputs; touch outputs/out")) == 0
    noted = [(datetime.fromisoformat(one["ended_at"]), one["seconds"]) for one in outcomes(store).values()]
    noted.sort()
    begins = [ended_at - timedelta(seconds=seconds) for ended_at, seconds in noted]
    assert [begin for begin, (ended_at, _) in zip(begins[1:], noted, strict=False) if begin < ended_at] == []


def test_a_file_has_its_own_time_limit(store, tmp_path):
    """A program that hangs is ended with all it has started, and said to have been; the next file runs."""
    store.blobs.update({"in/hangs": b"", "in/works": b""})
    script = 'test "$NAME" = works && exit 0; sh -c "sleep 1000"; true'
    assert run(tmp_path, describe(store, ["hangs", "works"], script=script, limit_seconds=0.3)) == 1
    found = outcomes(store)
    assert found["works"]["exit_code"] == 0
    assert (found["hangs"]["exit_code"], found["hangs"]["code"]) == (143, "TaskEnded")
    assert "0.3 s" in found["hangs"]["message"]


def test_a_bundle_that_is_stopped_notes_what_is_done(store, tmp_path):
    """Asked to end it ends its programs; only finished files have outcomes, and so the others run again."""
    store.blobs.update({f"in/{name}": b"" for name in ("quick", "slow", "later")})
    script = f'test "$NAME" = quick || {{ touch "../../../$NAME.began"; sleep 1000; }}; {COPY}'
    process = start(tmp_path, describe(store, ["slow", "quick", "later"], script=script, at_once=3))
    wait_until(lambda: list((tmp_path / ".bundle").glob("*.began")), 30, "another program")
    wait_until(lambda: "out/quick.out" in store.blobs, 30, "the first output")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert list(outcomes(store)) == ["quick"]
    assert json.loads((tmp_path / ".bundle" / "outcomes.json").read_text()) == outcomes(store)


def test_a_bundle_that_is_stopped_before_it_knows_what_was_done_leaves_that(store, tmp_path):
    """Storage is away when it begins again, and the time that it has to end is over before that is back."""
    before = json.dumps({"done": {"exit_code": 0, "tries": 1, "category": ""}}).encode()
    store.blobs["out/.logs/bundle"] = before
    store.refusals["out/.logs/bundle"] = [503] * 3
    impatient = f"import sys; sys.path[0] = {str(RUNNER.parent)!r}; import run_bundle as runner"
    impatient += "; runner.GRACE_SECONDS = 0.1; runner.main(sys.argv)"
    process = start(tmp_path, describe(store, ["done", "new"]), ("-c", impatient))
    wait_until(lambda: not store.refusals["out/.logs/bundle"], 30, "requests for what was done")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert store.blobs["out/.logs/bundle"] == before


def test_what_nobody_has_thought_of_fails_its_file_alone(store, tmp_path):
    """A program that can't be started for any reason has an outcome, and so has each other file."""
    store.blobs.update({"in/odd": b"", "in/good": b""})
    manifest = describe(store, ["odd", "good"])
    manifest["tasks"][0]["environmentSettings"].append({"name": "ODD", "value": "\0"})
    assert run(tmp_path, manifest) == 1
    found = outcomes(store)
    assert (found["odd"]["exit_code"], found["odd"]["code"]) == (None, "FileError")
    assert found["good"]["exit_code"] == 0


def test_what_storage_refuses_fails_its_file(store, tmp_path):
    """An output that may not be written is a failure that says so, and so is a program that isn't there."""
    store.blobs.update({"in/denied": b"", "in/absent": b""})
    store.refusals["out/denied.out"] = [403]
    script = 'test "$NAME" = absent && exec no-such-program; ' + COPY
    assert run(tmp_path, describe(store, ["denied", "absent"], script=script)) == 1
    found = outcomes(store)
    assert (found["denied"]["exit_code"], found["denied"]["code"]) == (0, "FileUploadAccessDenied")
    assert found["absent"]["exit_code"] == 127
    assert b"not found" in store.blobs["out/.logs/absent/stderr.txt"]


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_page_of_a_gateway_is_no_answer_of_storage_s(store, tmp_path, status):
    """It is neither an input nor the end of one, and an output that it took is sent again."""
    store.blobs["in/x"] = b"content"
    store.in_between.update({"in/x": [status], "out/x.out": [status], "out/.logs/bundle": [status]})
    assert run(tmp_path, describe(store, ["x"])) == 0
    assert store.in_between == {"in/x": [], "out/x.out": [], "out/.logs/bundle": []}
    assert store.blobs["out/x.out"] == b"content"
    assert outcomes(store)["x"]["code"] == ""
