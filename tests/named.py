"""What pages, docstrings and comments name, files, modules, functions, classes, settings, variables; and what
there is."""

from __future__ import annotations

import builtins
import importlib
import re
from functools import cache
from pathlib import Path

from tests.documentation import CODE, FENCE, REPOSITORY
from tests.sources import WORD, find_words, prose_in, words_in

PACKAGES = ("batch_emulator", "bench", "deployments", "flows", "tasks")
# Where names come from: our code, and what it is built and tested with.
SOURCES = [*PACKAGES, "node", "tests"]
SUFFIXES = (".json", ".md", ".py", ".toml", ".yaml", ".yml")
# Names of other people, of files that are made, and of examples that are to be wrong or the reader's own.
OTHERS = frozenset(
    {
        "JobStatistics",
        "PRINCIPAL_ID",
        "PoolResizeErrorCodes",
        "PoolStatistics",
        "RolledBack",
        "TaskFailureInformationCodes",
        "TaskStatistics",
        "../mine/fan-outs.yaml",
        "azure.batch.BatchClient",
        "exchanges.jsonl",
        "nights.yaml",
        "odata.nextLink",
        "outcomes.json",
        "replay.py",
        "something_useless",
        "standard_d4s_v3",
        "taskdata1_OUTPUT.txt",
        "test_batch_applications",
        "test_batch_extensions_live",
        "test_batch_network_configuration",
        "test_batch_pools_and_nodes",
        "test_batch_tasks",
    }
)
TOLD_IN_A_FILE = (
    re.compile(r"`(?P<name>\w+)`\s+in\s+`(?P<file>[\w./-]+\.py)`"),
    re.compile(r"`(?P<file>[\w./-]+\.py)`\s+\(`(?P<name>\w+)`"),
)
"""A name that is said to be in a file."""


def spans_of(text: str) -> list[str]:
    """What stands in backticks, and the words of blocks that are in no language: drawings and trees."""
    drawn = [word for block in FENCE.finditer(text) if not block[2] for word in block[3].split()]
    return [*CODE.findall(FENCE.sub("", text)), *(word for word in drawn if "/" in word or "_" in word)]


@cache
def prose_of_code() -> dict[str, str]:
    """The docstrings and comments of each module of ours."""
    paths = [path for package in [*PACKAGES, "node"] for path in sorted((REPOSITORY / package).rglob("*.py"))]
    return {str(path.relative_to(REPOSITORY)): text for path in paths if (text := prose_in(path))}


@cache
def files() -> frozenset[str]:
    """The paths of all files and folders that we keep, from the top."""
    roots = [
        path for path in REPOSITORY.iterdir() if path.name in {*SOURCES, "docs", "data", ".ci", ".github"}
    ]
    found = {path for root in roots for path in [root, *root.rglob("*")] if "__pycache__" not in path.parts}
    found |= {path for path in REPOSITORY.iterdir() if path.is_file()}
    return frozenset(path.relative_to(REPOSITORY).as_posix() for path in found)


@cache
def words() -> frozenset[str]:
    """Each word of our code and of what configures it, strings included."""
    kinds = (".py", ".yaml", ".toml", ".json", "Makefile")
    paths = [path for path in files() if path.endswith(kinds) and not path.startswith("tests/")]
    return frozenset().union(*(words_in(REPOSITORY / path) for path in paths))


@cache
def words_of_tests() -> frozenset[str]:
    """Each word of the tests: they read variables, but what else they say is no source of names."""
    paths = [path for path in files() if path.endswith(".py") and path.startswith("tests/")]
    return find_words((REPOSITORY / path).read_text(encoding="utf-8") for path in paths)


@cache
def prefect_variables() -> frozenset[str]:
    """The environment variables that Prefect reads."""
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings

    return frozenset(_get_settings_fields(Settings))


def problem_with(span: str, here: Path) -> str:
    """Why what is named isn't there; "" if it is, or if this says nothing of ours."""
    if span in OTHERS:
        return ""
    if re.fullmatch(r"[\w.*/-]+", span) and is_path(span):
        return "" if has_path(span, here) else "no such file"
    if match := re.fullmatch(rf"((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(\(.*\))?", span):
        return "" if resolves(match[1]) else "no such name"
    if match := re.fullmatch(r"(\w+)\(.*\)", span):
        return "" if match[1] in words() or hasattr(builtins, match[1]) else "no such function"
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", span.partition("=")[0]):
        return problem_with_variable(span.partition("=")[0])
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", span):
        return "" if span in words() else "no such name"
    if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", span):
        return (
            "" if set(span.split(".")) <= words() and is_in_module(*span.split(".")[:2]) else "no such name"
        )
    return ""


def is_in_module(module: str, name: str) -> bool:
    """Whether a module or package of ours of that name has this one; true of what is no module of ours."""
    paths = [Path(path) for path in files() if path.split("/")[0] in PACKAGES]
    named = [path for path in paths if path.stem == module and path.suffix in ("", ".py")]
    inside = [path for path in paths if path.parent.name == module]
    known = {path.stem for path in inside}.union(
        *(words_in(REPOSITORY / path) for path in named if path.suffix)
    )
    return not named or name in known


def modules_missing_in(text: str) -> set[str]:
    """What stands in the docstring of a package as a single word, and is no module or package of ours."""
    return {span for span in spans_of(text) if re.fullmatch(r"[a-z][a-z0-9]*", span)} - modules()


def names_missing_in_files(text: str) -> set[str]:
    """What is said to be in a file, as `name` in `file.py` or `file.py` (`name`), and is not."""
    told = [(found["name"], found["file"]) for pattern in TOLD_IN_A_FILE for found in pattern.finditer(text)]
    return {f"{name} in {file}" for name, file in told if not is_in_file(name, file)}


def is_in_file(name: str, file: str) -> bool:
    paths = [path for path in files() if path == file or path.endswith(f"/{file}")]
    return any(name in words_in(REPOSITORY / path) for path in paths)


def problem_with_variable(name: str) -> str:
    if name.startswith("PREFECT_"):
        known = name in prefect_variables() or re.fullmatch("PREFECT_LOGGING_[A-Z_]+_LEVEL", name)
        return "" if known or name in words() else "Prefect has no such variable"
    return "" if name in words() | words_of_tests() or name.startswith("AZ_BATCH_") else "no such variable"


def is_path(span: str) -> bool:
    """Does it begin like a path of ours, or is it the name of a file of a kind that we have?"""
    top = span.partition("/")[0]
    return ("/" in span and top in SOURCES) or (span.endswith(SUFFIXES) and not span.startswith(("/", "*")))


def has_path(span: str, here: Path) -> bool:
    """Is there such a file or folder, from the top, from where it is named, or anywhere by its name?"""
    wanted = span.rstrip("/").removesuffix("/*")
    beside = [(folder / wanted) for folder in [here, *here.parents] if folder.is_relative_to(REPOSITORY)]
    by_name = any(known == wanted or known.endswith(f"/{wanted}") for known in files())
    return by_name or any(path.exists() for path in beside) or f"{wanted}/" in ignored()


@cache
def ignored() -> frozenset[str]:
    """What git ignores, as it says it: folders that tools make."""
    return frozenset((REPOSITORY / ".gitignore").read_text(encoding="utf-8").split())


@cache
def modules() -> frozenset[str]:
    """The names of all modules and packages of ours, without those that they stand in."""
    return frozenset(Path(path).stem for path in files() if path.split("/")[0] in PACKAGES)


def missing_in_chains(text: str) -> set[str]:
    """What a drawing chains, as in `server ► app`, that is no module, where the chain has modules alone."""
    lines = [line for block in FENCE.finditer(text) if not block[2] for line in block[3].splitlines()]
    chains = [re.split(r"\s{2,}", line.strip())[0].split(" ► ") for line in lines if " ► " in line]
    of_modules = [chain for chain in chains if len(chain) > 1 and all(WORD.fullmatch(name) for name in chain)]
    return {name for chain in of_modules for name in chain} - modules()


def resolves(name: str) -> bool:
    """Is there such a module, or such an attribute of one?"""
    module, _, rest = name.partition(".")
    found: object = importlib.import_module(module)
    for part in rest.split("."):
        try:
            module = f"{module}.{part}"
            found = getattr(found, part) if hasattr(found, part) else importlib.import_module(module)
        except ImportError:
            return False
    return True
