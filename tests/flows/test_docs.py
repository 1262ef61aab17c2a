"""The Python of the README and of the how-to pages, run as it stands there on the local services."""

import shutil
from pathlib import Path

import pytest

from tests.documentation import REPOSITORY, blocks_of
from tests.flows.services import batch, write_files

RESIZE = (
    "import shutil, sys\nassert sys.argv[3:] == ['--width', '800']\nshutil.copy(sys.argv[1], sys.argv[2])\n"
)
COUNT_LINES = "import sys\nprint(len(open(sys.argv[1]).readlines()), file=open(sys.argv[2], 'w'))\n"


@pytest.fixture
def folder(accounts, tmp_path, monkeypatch) -> Path:
    """A folder with the files that the pages speak of; no pool of theirs stays behind."""
    write_files(tmp_path, {"photos/2024/a.png": "one", "photos/b.png": "two"})
    write_files(tmp_path, {"resize.py": RESIZE, "count_lines.py": COUNT_LINES})
    shutil.copytree(REPOSITORY / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    before = {pool.id for pool in batch().list_pools()}
    yield tmp_path
    for pool in batch().list_pools():
        if pool.id not in before and pool.state == "active":
            batch().begin_delete_pool(pool.id)


def run_first_python_block(page: str) -> dict[str, object]:
    """What the block defines when it is run."""
    block = next(block for block in blocks_of(REPOSITORY / page) if block.language == "python")
    defined: dict[str, object] = {"__name__": "page"}
    exec(compile(block.text, f"{page}:{block.line}", "exec"), defined)
    return defined


def test_the_example_of_the_readme(folder):
    """It resizes each picture below the folder, and keeps the sub-folders."""
    run_first_python_block("README.md")
    written = {str(path.relative_to(folder / "small")) for path in (folder / "small").rglob("*.png")}
    assert written == {"2024/a_OUTPUT.png", "b_OUTPUT.png"}


def test_a_program_of_one_s_own(folder):
    """The result says where each output is, as the page prints it."""
    result = run_first_python_block("docs/howto/your-own-program.md")["result"]
    assert set(result.outputs) == {"taskdata1.txt", "taskdata2.txt", "taskdata3.txt"}
    assert result.outputs["taskdata1.txt"].endswith("lines/taskdata1_OUTPUT.txt")
    lines = len((folder / "data" / "taskdata1.txt").read_text().splitlines())
    assert Path(result.outputs["taskdata1.txt"]).read_text() == f"{lines}\n"


def test_a_pool_that_is_reused(folder):
    """The second run finds the pool of the first one."""
    run_first_python_block("docs/howto/reuse-a-pool.md")
    made = batch().get_pool("words").creation_time
    run_first_python_block("docs/howto/reuse-a-pool.md")
    assert batch().get_pool("words").creation_time == made
    assert (folder / "output" / "taskdata1_OUTPUT.txt").exists()
