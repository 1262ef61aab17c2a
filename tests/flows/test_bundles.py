"""Several files in one Batch task: each is still told, kept, repeated and fetched by itself."""

from pathlib import Path

import pytest

from flows.fan_out import fan_out
from tasks.errors import FilesFailedError
from tests.flows.services import write_files

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
