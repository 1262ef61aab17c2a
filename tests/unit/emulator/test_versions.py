"""What each API version shows and takes."""

from __future__ import annotations

from typing import Any

import pytest

from batch_emulator.api.versions import PROPERTIES, find_unknown, trim, unknown_paths

OCTOBER_2022, FEBRUARY_2024 = "2022-10-01.16.0", "2024-02-01.19.0"
JULY_2024, NEWEST = "2024-07-01.20.0", "2025-06-01"


@pytest.mark.parametrize(
    ("kind", "name", "first", "last"),
    [
        ("pools", "upgradePolicy", FEBRUARY_2024, NEWEST),
        ("pools", "cloudServiceConfiguration", OCTOBER_2022, FEBRUARY_2024),
        ("pools", "certificateReferences", OCTOBER_2022, JULY_2024),
        ("pools", "targetNodeCommunicationMode", OCTOBER_2022, JULY_2024),
        ("pools", "resourceTags", FEBRUARY_2024, JULY_2024),
        ("tasks", "authenticationTokenSettings", OCTOBER_2022, NEWEST),
        ("nodes", "virtualMachineInfo", OCTOBER_2022, NEWEST),
    ],
)
def test_property_is_shown_in_its_versions_only(kind: str, name: str, first: str, last: str) -> None:
    """An answer has a property from the version that brought it to the last one before it went."""
    versions = [OCTOBER_2022, FEBRUARY_2024, JULY_2024, NEWEST]
    shown = [version for version in versions if name in trim(kind, {name: {}}, version)]
    assert shown == [version for version in versions if first <= version <= last]


def test_nested_properties_are_trimmed_in_lists_too() -> None:
    """A property that a version lacks goes from each item of a list; the rest stays."""
    disk = {"lun": 0, "storageAccountType": "standard_lrs"}
    pool = {"id": "p", "virtualMachineConfiguration": {"dataDisks": [disk, disk]}}
    shown = trim("pools", pool, NEWEST)
    assert shown == {"id": "p", "virtualMachineConfiguration": {"dataDisks": [{"lun": 0}] * 2}}
    assert disk["storageAccountType"] == "standard_lrs"


def test_pool_of_a_job_is_trimmed_like_a_pool() -> None:
    """The specification of an auto pool shows what a pool of that version would."""
    specification = {
        "poolLifetimeOption": "job",
        "pool": {"vmSize": "a", "upgradePolicy": {"mode": "manual"}},
    }
    job = {"poolInfo": {"autoPoolSpecification": specification}}
    shown = trim("jobs", job, OCTOBER_2022)
    assert shown["poolInfo"]["autoPoolSpecification"]["pool"] == {"vmSize": "a"}


@pytest.mark.parametrize(
    ("kind", "body", "version", "name"),
    [
        ("pools", {"upgradePolicy": {"mode": "manual"}}, OCTOBER_2022, "upgradePolicy"),
        ("pools", {"certificateReferences": []}, NEWEST, "certificateReferences"),
        ("pools", {"certificateReferences": None}, NEWEST, None),
        ("patched pools", {"vmSize": "standard_d2s_v3"}, FEBRUARY_2024, "vmSize"),
        ("patched pools", {"vmSize": "standard_d2s_v3"}, JULY_2024, None),
        ("pools", {"startTask": "not an object"}, OCTOBER_2022, None),
        ("tasks", "not an object", OCTOBER_2022, None),
    ],
)
def test_body_is_searched_for_what_its_version_lacks(
    kind: str, body: Any, version: str, name: str | None
) -> None:
    """The first property that a version does not have is named; an explicit null is none."""
    assert find_unknown(kind, body, version) == name


@pytest.mark.parametrize("kind", PROPERTIES)
def test_newest_version_lacks_only_what_was_removed(kind: str) -> None:
    """Whatever the newest version does not have, an older one had."""
    for path in unknown_paths(kind, NEWEST):
        assert PROPERTIES[kind][".".join(path)][1] <= NEWEST
