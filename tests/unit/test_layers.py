"""Who may import whom, as `pyproject.toml` says it."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from importlinter import configuration
from importlinter.application import use_cases

from tests.sources import WORD, words_in

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("batch_emulator", "bench", "deployments", "flows", "node", "tasks", "tests")
HELD = ("batch_emulator", "bench", "deployments", "flows", "tasks")
FUNCTION = re.compile(r"((?:^@.*\n(?:^[ )].*\n)*)*)^(?:async )?def ([a-z]\w*)\(", re.MULTILINE)
"""Its decorators, and its name."""
FILED = re.compile(r"^@(task|flow|app)\b|^@pytest", re.MULTILINE)
NODE_SCRIPTS = sorted((REPOSITORY / "node").glob("*.py"))


def test_every_contract_is_kept(monkeypatch, capsys):
    """No module imports what its layer may not know."""
    monkeypatch.chdir(REPOSITORY)
    configuration.configure()
    # Not the function of its command line, which disables every logger of the process.
    assert use_cases.lint_imports(cache_dir=None), capsys.readouterr().out


@pytest.mark.parametrize("script", NODE_SCRIPTS, ids=lambda path: path.name)
def test_node_scripts_need_only_python(script):
    """What runs on a compute node imports the standard library alone, or what comes with it, so that nothing
    is installed there."""
    imported = {
        name.partition(".")[0] for node in ast.walk(ast.parse(script.read_text())) for name in names(node)
    }
    assert imported <= set(sys.stdlib_module_names) | {path.stem for path in NODE_SCRIPTS}


@pytest.mark.parametrize("package", ["flows", "tasks", "deployments"])
def test_only_one_room_knows_the_storage_client(package):
    """Who wants another blob client changes `tasks/azure`, and nothing else."""
    room = REPOSITORY / "tasks" / "azure"
    outside = [path for path in (REPOSITORY / package).rglob("*.py") if not path.is_relative_to(room)]
    mentions = {path: text for path in outside if "azure.storage" in (text := path.read_text("utf-8"))}
    knowing = {
        path
        for path, text in mentions.items()
        for node in ast.walk(ast.parse(text))
        if any(name.startswith("azure.storage") for name in names(node))
    }
    assert knowing == set()


def test_the_drawing_of_the_rooms_is_the_contract():
    """`docs/architecture.md` shows the layers of tasks/ as import-linter holds them."""
    contracts = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    held = re.findall(r'"(.+)"', contracts.partition('containers = ["tasks"]')[2].partition("]")[0])
    drawing = page.partition("### The rooms of tasks/")[2].split("```")[1].strip()
    assert [re.split(r" {3,}", line)[0] for line in drawing.splitlines()] == held


def test_what_only_its_module_uses_says_so():
    """Such a function begins with an underscore. Not steps, flows and handlers, which others call by a table,
    what a journal keeps by its name, and scripts, which nobody imports."""
    modules = [path for folder in PACKAGES for path in (REPOSITORY / folder).rglob("*.py")]
    users = Counter(word for path in modules for word in words_in(path))
    public = {path: find_public(path) for path in modules if path.relative_to(REPOSITORY).parts[0] in HELD}
    assert len(public) > 300
    kept_by_name = REPOSITORY / "batch_emulator" / "scheduler"
    own = [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path, names in public.items()
        for name in names
        if users[name] == 1 and not path.is_relative_to(kept_by_name)
    ]
    assert own == []


def find_public(path: Path) -> list[str]:
    """The functions of a module that have no underscore, no decorator that files them, and are in no table of
    routes."""
    text = path.read_text(encoding="utf-8")
    routes = set(WORD.findall(text.partition("\nROUTES")[2]))
    found = [(name, decorators) for decorators, name in FUNCTION.findall(text) if name != "main"]
    return [name for name, decorators in found if not FILED.search(decorators) and name not in routes]


def test_no_file_is_long():
    """Whoever looks for something reads a file of one subject, and not of several: 300 lines at most."""
    files = [path for folder in PACKAGES for path in (REPOSITORY / folder).rglob("*.py")]
    assert len(files) > 500
    assert [str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 300] == []


def names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or "."] if isinstance(node, ast.ImportFrom) else []
