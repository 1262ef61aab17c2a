"""The Python of the README and of the how-to pages, run as it stands there on the local services."""

import shutil
from pathlib import Path

import pytest

import batch_emulator
from tasks.azure.accounts import read_accounts
from tasks.azure.blocks import save_accounts
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
    # A test may use another account meanwhile, which ends with it.
    client = batch()
    before = {pool.id for pool in client.list_pools()}
    yield tmp_path
    for pool in client.list_pools():
        if pool.id not in before and pool.state == "active":
            client.begin_delete_pool(pool.id)


def run_first_python_block(page: str) -> dict[str, object]:
    """What the block defines when it is run."""
    return run_python_blocks(page, 1)


def run_python_blocks(page: str, count: int | None = None) -> dict[str, object]:
    """What the first blocks of the page, or all, define when they are run one after another."""
    blocks = [block for block in blocks_of(REPOSITORY / page) if block.language == "python"]
    defined: dict[str, object] = {"__name__": "page"}
    for block in blocks[:count]:
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


@pytest.mark.soak
def test_a_pool_that_is_reused(folder):
    """The second run finds the pool of the first one."""
    run_first_python_block("docs/howto/reuse-a-pool.md")
    made = batch().get_pool("words").creation_time
    shutil.rmtree(folder / "output")
    run_first_python_block("docs/howto/reuse-a-pool.md")
    assert batch().get_pool("words").creation_time == made
    assert (folder / "output" / "taskdata1_OUTPUT.txt").exists()


@pytest.mark.soak
def test_a_run_again(folder, storage):
    """The second run has nothing to do, and what is remembered can lie in a blob container."""
    save_accounts("prod", read_accounts())
    defined = run_python_blocks("docs/howto/run-again.md")
    assert defined["second"].job_id == ""
    assert defined["shared"].result_storage.container == "prefect-results"


@pytest.mark.soak
def test_flows_of_one_s_own(folder):
    """Lines and words are counted on one pool, which is gone; a failed file is no failure if one says so."""
    # The last one is of another project (test_foreign_project.py).
    defined = run_python_blocks("docs/howto/library.md", -1)
    texts = [path.read_text() for path in (folder / "data").glob("*.txt")]
    assert defined["totals"] == {
        "lines": sum(text.count("\n") for text in texts),
        "words": sum(len(text.split()) for text in texts),
    }
    assert defined["words"] == defined["totals"]["words"]
    assert set(defined["found"]) == {
        path.name for path in (folder / "data").glob("*.txt") if "azure" in path.read_text().lower()
    }


def test_containers_and_all_that_a_task_can_be_told(folder, use_batch):
    """The example runs where container tasks are taken, and the other blocks of the page are valid."""
    with batch_emulator.serve(containers="host") as account:
        use_batch(account)
        defined = run_python_blocks("docs/howto/containers.md")
    assert set(defined["result"].outputs) == {"taskdata1.txt", "taskdata2.txt", "taskdata3.txt"}
    assert defined["task"].overrides["requiredSlots"] == 2
