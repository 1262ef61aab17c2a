"""The tutorial, whole: real text in, tables of words out."""

import gzip
import os
import string
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact

from flows.top_n_words import top_n_words
from tasks.errors import FilesFailedError
from tasks.report.words_table import read_words
from tasks.spec.specs import PoolSpec
from tests.flows.services import wait_for_remains, write_files

ROOT = Path(__file__).parents[2]
REAL_TEXTS = 120
REAL_TEXT_BYTES = 200_000


def counted(path: Path) -> list[tuple[str, int]]:
    """The three most common words, found independently of the script that runs on the node."""
    words = path.read_bytes().decode("utf-8", "replace").split()
    stripped = (word.strip(string.punctuation) for word in words)
    return Counter(word for word in stripped if word).most_common(3)


def real_texts(folder: Path) -> Path:
    """A few hundred text files that this machine has anyway, in sub-folders of their own."""
    roots = [Path("/usr/share"), Path(sys.prefix)]
    patterns = ("**/copyright", "**/*.txt", "**/*.md", "**/LICENSE*", "**/METADATA")
    found = (path for root in roots for pattern in patterns for path in root.glob(pattern))
    for number, path in enumerate(path for path in found if is_text(path)):
        if number == REAL_TEXTS:
            break
        target = folder / f"part{number % 7}" / f"{number:03d} {path.name}"
        write_files(folder, {str(target.relative_to(folder)): path.read_bytes()})
    return folder


def is_text(path: Path) -> bool:
    return path.is_file() and 0 < path.stat().st_size < REAL_TEXT_BYTES


@pytest.mark.soak
def test_counts_of_real_text_equal_an_independent_count(accounts, tmp_path):
    """Over many real files each table has the words that a plain Counter finds."""
    inputs = real_texts(tmp_path / "in")
    texts = sorted(path for path in inputs.rglob("*") if path.is_file())
    assert len(texts) == REAL_TEXTS
    result = top_n_words(inputs, tmp_path / "out", pool=PoolSpec(dedicated_nodes=2, task_slots_per_node=2))
    assert len(result.outputs) == len(texts)
    for text in texts:
        name = text.relative_to(inputs).as_posix()
        output = Path(result.outputs[name])
        assert output.parent == tmp_path / "out" / text.parent.relative_to(inputs)
        assert read_words(output) == counted(text)
    wait_for_remains(result.run_key, set())


def test_odd_files_are_counted_too(accounts, tmp_path):
    """Empty files, ones with broken bytes, and names that a shell would misread, each get their table."""
    contents = {
        "empty.txt": "",
        "broken.txt": b"caf\xe9 caf\xe9 and \xff much else that is text",
        "no suffix": "one one two",
        "it's; $(touch x) & `y`.txt": "a a b",
        '"quoted" {braces} %s.txt': "b b a",
        "-n": "dash dash other",
        "ünï/日本語.txt": "日本 日本 語",
        "deep/er/[1]*?.txt": "glob glob star",
    }
    inputs = write_files(tmp_path / "in", contents)
    result = top_n_words(str(inputs), str(tmp_path / "out"), pool=PoolSpec(task_slots_per_node=4))
    assert set(result.outputs) == set(contents)
    for name in contents:
        assert read_words(result.outputs[name]) == counted(inputs / name)
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert "deep/er/[1]*?_OUTPUT.txt" in written
    assert not list(tmp_path.rglob("x"))


def test_what_is_no_text_fails_alone_and_says_so(accounts, tmp_path):
    """A compressed file is a failed one with the script's words; text in the named encoding is counted."""
    contents = {"packed.gz": gzip.compress(b"a b c"), "one.txt": "żółw – „żółw”".encode("cp1250")}
    inputs = write_files(tmp_path / "in", contents)
    with pytest.raises(FilesFailedError, match=r"packed\.gz(.|\n)*no text") as raised:
        top_n_words(inputs, tmp_path / "out", encoding="windows-1250")
    assert read_words(raised.value.result.outputs["one.txt"]) == [("żółw", 2)]


@pytest.mark.soak
def test_a_file_of_100_megabytes_is_counted(accounts, tmp_path):
    """A large file of a single line goes up, is counted, and its table comes back."""
    line = b" ".join(b"word%d" % (number % 7) for number in range(10_000)) + b" most most "
    large = tmp_path / "in" / "large.txt"
    large.parent.mkdir()
    with large.open("wb") as file:
        while file.tell() < 100_000_000:
            file.write(line)
        repeats = file.tell() // len(line)
    result = top_n_words(str(large), tmp_path / "out", num_words=1)
    assert read_words(result.outputs["large.txt"]) == [("word0", 1429 * repeats)]


def test_the_words_and_the_summary_are_artifacts(accounts, tmp_path):
    """The run's page shows a summary, a table of files and one of words, and its progress at the end."""
    inputs = write_files(tmp_path / "in", {"one.txt": "b a b", "two.txt": "c"})
    state = top_n_words(inputs, tmp_path / "out", num_words=2, return_state=True)
    artifacts = artifacts_of(state.state_details.flow_run_id)
    assert "Files: 2, 2 succeeded, 0 failed" in artifacts["fan-out-summary"].data
    assert '"word": "b", "count": 2' in artifacts["top-words"].data
    assert '"file": "two.txt", "state": "succeeded", "exit code": 0' in artifacts["fan-out-files"].data
    assert artifacts["fan-out-progress"].data == 100.0
    assert "2/2, 0 running, 0 waiting" in artifacts["fan-out-progress"].description


def artifacts_of(flow_run_id) -> dict:
    with get_client(sync_client=True) as client:
        response = client.request(
            "POST",
            "/artifacts/filter",
            json={"artifacts": {"flow_run_id": {"any_": [str(flow_run_id)]}}},
        )
        response.raise_for_status()
        return {item["key"]: Artifact.model_validate(item) for item in response.json()}


@pytest.mark.soak
def test_it_runs_as_a_module_with_its_defaults(accounts, tmp_path):
    """`python -m flows.top_n_words` counts the files of `data` into `output`."""
    write_files(tmp_path / "data", {"taskdata1.txt": "a b a"})
    ran = subprocess.run(
        [sys.executable, "-m", "flows.top_n_words"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert read_words(tmp_path / "output" / "taskdata1_OUTPUT.txt") == [("a", 2), ("b", 1)]
