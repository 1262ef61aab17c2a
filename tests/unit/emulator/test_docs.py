"""docs/emulator.md says what the code does: its tables are held against it, its examples run."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.batch.aio import BatchClient as AsyncBatchClient

from batch_emulator import DEFAULT_KEY, Settings
from batch_emulator.api import control
from batch_emulator.api.refusals import REFUSALS
from batch_emulator.app import ROUTES
from batch_emulator.catalogue.operations import OPERATIONS
from batch_emulator.faults import RESIZE_ERRORS, Faults, Rule
from batch_emulator.scheduler import node_faults

PAGE = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading, up to the next one."""
    return re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def table(title: str) -> dict[str, list[str]]:
    """The rows of the first table under a heading, by the name in their first cell."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section(title), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def test_each_operation_has_a_row():
    """The table names all operations that both official clients have, and no other."""
    assert sorted(table("Operations")) == sorted(OPERATIONS.values())
    assert set(OPERATIONS.values()) == methods_of(BatchClient) == methods_of(AsyncBatchClient)


def methods_of(client: type) -> set[str]:
    """Those that are an operation each; `create_tasks` makes several requests of another."""
    return {name for name in dir(client) if name[0] != "_"} - {"close", "create_tasks", "send_request"}


@pytest.mark.parametrize(("place", "name"), OPERATIONS.items(), ids=OPERATIONS.values())
def test_operation_is_what_its_row_says(place, name):
    """What is supported has a handler, what is refused has none; what is not as on Azure says how."""
    here, notes, shown_by = table("Operations")[name]
    served = place in {(method, path) for method, path, _ in ROUTES}
    assert here in ("supported", "deviation", "refused")
    assert served == (here != "refused")
    assert bool(notes) == bool(shown_by) == (here != "supported") or (here, shown_by) == ("supported", "")


def test_refused_properties():
    """The page gives each refused property with the reason of the error."""
    assert {name: why for name, (why, _) in table("Refused").items()} == REFUSALS


def test_settings():
    """Each setting has a row with its default."""
    rows = table("Settings")
    assert list(rows) == [each.name for each in fields(Settings)]
    for each in fields(Settings):
        default = each.default_factory() if each.default is MISSING else each.default
        shown = rows[each.name][0]
        if default is None or default == Faults():
            assert shown == "none"
        elif default == DEFAULT_KEY:
            assert shown == "a well-known key"
        else:
            assert shown == f"`{default}`"


def test_rules():
    """Each kind of rule has a row with its fields."""
    rows = table("Faults")
    kinds = {
        name: info.annotation.__args__[0] for name, info in Faults.model_fields.items() if name != "seed"
    }
    assert list(rows) == list(kinds)
    for name, rule in kinds.items():
        own = rule.model_fields.keys() - Rule.model_fields.keys()
        assert set(re.findall(r"`(\w+)`", rows[name][0])) == own


def test_names_of_events_and_errors():
    """The page names each resize error, each event of a node and each rule's common fields."""
    assert names_in("Resize errors:") == set(RESIZE_ERRORS)
    assert names_in("Events of a node:") == {*node_faults.EVENTS, "errors", "recoverSeconds"}
    assert names_in("Every rule has") == {*Rule.model_fields, "seed"}


def names_in(beginning: str) -> set[str]:
    """The names in the paragraph that begins so."""
    paragraph = next(each for each in PAGE.split("\n\n") if each.startswith(beginning))
    return set(re.findall(r"`(\w+)`", paragraph))


def test_rules_for_curl():
    """The JSON of the curl example is a document of rules."""
    text = re.search(r"-d '\s*(\{.*?\})'", section("From outside"), re.DOTALL)[1]
    assert Faults.model_validate(json.loads(text)).requests


def test_paths_of_the_control_api():
    """Each path in the curl examples is one of the control API's."""
    for method, path in re.findall(r"^curl (?:-X (\w+) )?.*?(/_emulator/\S+)", section("From outside"), re.M):
        pattern = path.replace("POOL", "{pool}").replace("NODE", "{node}").replace("preempt", "{event}")
        assert (method or "GET", pattern) in {(each[0], each[1]) for each in control.ROUTES}


def test_map_names_what_there_is():
    """Each file that the maps of the pages name exists, from the root or in the emulator's folder."""
    root = Path(__file__).parents[3]
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        for name in re.findall(r"`([\w./]+(?:\.py|/))`", (root / page).read_text(encoding="utf-8")):
            folders = (root, root / "batch_emulator", root / "batch_emulator" / "node")
            assert any((folder / name).exists() for folder in folders), f"{page} names {name}"
