"""The page of deviations, docs/emulator.md: each row names tests that are there, and none is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import models

from batch_emulator.api.refusals import REFUSALS
from batch_emulator.catalogue.operations import OPERATIONS
from tests.documentation import REPOSITORY, TEST, has_test

PAGE = (REPOSITORY / "docs" / "emulator.md").read_text(encoding="utf-8")
TABLES = re.findall(r"^(\|.*\| shown by \|)\n\|[- |]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
ROWS = [row for _, rows in TABLES for row in rows.splitlines() if "| supported |" not in row]
REPLAY = (REPOSITORY / "docs" / "emulator-replay.md").read_text(encoding="utf-8")
ITEMS = REPLAY.partition("## What stays different")[2].partition("\n## ")[0].split("\n- **")[1:]
#: The rooms of the service that decide what happens; the others read, keep and show what they are given.
CORE = ("scheduler", "resources", "engine", "node", "autoscale", "faults", "catalogue")
ROOTS = (
    models.BatchPoolCreateOptions,
    models.BatchJobCreateOptions,
    models.BatchTaskCreateOptions,
    models.BatchJobScheduleCreateOptions,
)


def test_there_are_the_four_tables():
    """Operations, what is refused, what has no effect, and what else is different."""
    assert len(TABLES) == 4


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:].partition(" |")[0])
def test_each_deviation_names_a_test_that_is_there(row):
    """The last cell has at least one test, each by its file and its name."""
    named = TEST.findall(row.rstrip(" |").rpartition(" | ")[2])
    assert named
    assert [f"{file}::{name}" for file, name in named if not (name and has_test(file, name))] == []


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.partition("**")[0])
def test_each_value_that_stays_different_names_a_test(item):
    """As the rows do, so do the items of the page on recordings."""
    named = TEST.findall(item)
    assert named
    assert [f"{file}::{name}" for file, name in named if not (name and has_test(file, name))] == []


def test_each_operation_is_called_by_a_test():
    """Those that are as on Azure have no row of tests of their own: the suites call them."""
    text = read_all(REPOSITORY / "tests", ("api", "conformance", "integration"))
    assert [name for name in OPERATIONS.values() if not re.search(rf"\b{name}\b", text)] == []


def test_what_the_core_never_reads_is_in_the_table():
    """Every property of a pool, job, task or schedule is read where it is decided what happens, or the page
    says that nothing follows from it, by its own name or that of what it is part of."""
    read = set(re.findall(r"[\"'](\w+)[\"']", read_all(REPOSITORY / "batch_emulator", CORE)))
    said = set(re.findall(r"`(\w+)`", " ".join(row.split(" | ")[0] for row in ROWS)))
    covered = said | REFUSALS.keys() | {"applicationPackageReferences"}
    paths = {path for root in ROOTS for path in walk(root, ())}
    assert len(paths) > 300
    left_out = [path for path in paths if path[-1] not in read and covered.isdisjoint(path)]
    assert sorted(".".join(path) for path in left_out) == []


def read_all(folder: Path, rooms: tuple[str, ...]) -> str:
    files = (file for room in rooms for file in sorted((folder / room).rglob("*.py")))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def walk(model: type, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The properties of a model of the official client, and of its parts, as they are called on the wire."""
    made = model({})  # Its properties are known only once there is one.
    for name, field in made._attr_to_rest_field.items():
        yield (*path, field._rest_name)
        for part in parts_of(model, name):
            if field._rest_name not in path:
                yield from walk(part, (*path, field._rest_name))


def parts_of(model: type, name: str) -> list[type]:
    annotation = next(base.__annotations__[name] for base in model.__mro__ if name in base.__annotations__)
    named = re.findall(r"_models\.(\w+)", str(annotation))
    return [
        part
        for part in (getattr(models, each) for each in named)
        if hasattr(part, "_attr_to_rest_field") or hasattr(part, "as_dict")
    ]
