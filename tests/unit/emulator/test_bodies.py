"""Request bodies: what is lenient, what is optional, and how each thing that is wrong is named."""

from __future__ import annotations

from typing import Any

import pytest

from batch_emulator.api.bodies import Body, parse_body
from batch_emulator.api.bodies.jobs import JobAdd, JobDisable, JobPatch, JobTerminate
from batch_emulator.api.bodies.nodes import (
    LogUpload,
    NodeDeallocate,
    NodeDisableScheduling,
    NodeReboot,
    NodeUserAdd,
    NodeUserReplace,
)
from batch_emulator.api.bodies.schedules import JobScheduleAdd
from batch_emulator.api.bodies.tasks import TaskAdd
from batch_emulator.durations import UNLIMITED
from tests.unit.emulator.reading import JOB, TASK, kept, refused


def test_numbers_and_booleans_may_be_text() -> None:
    """The Azure CLI sends integers as text."""
    answer = kept(TaskAdd, TASK | {"requiredSlots": "2", "constraints": {"maxTaskRetryCount": "3"}})
    assert (answer["requiredSlots"], answer["constraints"]["maxTaskRetryCount"]) == (2, 3)
    assert kept(JobAdd, JOB | {"usesTaskDependencies": "true", "priority": "-7"})["priority"] == -7


def test_nulls_are_as_if_not_there() -> None:
    """A property that is null is like one that is missing."""
    answer = kept(TaskAdd, TASK | {"displayName": None, "resourceFiles": None, "constraints": None})
    assert answer == kept(TaskAdd, TASK)


@pytest.mark.parametrize("limit", ["maxWallClockTime", "retentionTime"])
def test_minus_one_is_no_limit(limit: str) -> None:
    """The service takes -1 as a time limit and answers with its longest duration."""
    assert kept(TaskAdd, TASK | {"constraints": {limit: "-1"}})["constraints"][limit] == UNLIMITED


DATA_ERRORS = [
    (b"{", "unexpected end of data"),
    (b"\xff", "not valid UTF-8"),
    (b"[]", "An unexpected 'StartArray' node was found when reading from the JSON reader."),
    (b'"x"', "A 'StartObject' node was expected."),
    (b"null", "A 'StartObject' node was expected."),
    (TASK | {"id": 1}, "Cannot convert a primitive value to the expected type 'Edm.String'."),
    (
        TASK | {"commandLine": {}},
        "'StartObject' node was found when reading from the JSON reader. A 'Primitive",
    ),
    (TASK | {"resourceFiles": {}}, "A 'StartArray' node was expected"),
    (TASK | {"constraints": "P1D"}, "'PrimitiveValue' node was found"),
    (TASK | {"requiredSlots": "two"}, "expected type 'Edm.Int32'"),
    (TASK | {"requiredSlots": 1.5}, "expected type 'Edm.Int32'"),
    (TASK | {"requiredSlots": True}, "expected type 'Edm.Int32'"),
    (TASK | {"colour": "red"}, "The property 'colour' does not exist."),
    (TASK | {"constraints": {"colour": 1}}, "The property 'colour' does not exist."),
    ({"colour": "red"}, "The property 'colour' does not exist."),
]


@pytest.mark.parametrize(("body", "words"), DATA_ERRORS)
def test_what_cannot_be_read_is_a_bad_body(body: Any, words: str) -> None:
    """Broken JSON, wrong types and unknown properties are InvalidRequestBody, ahead of all else."""
    code, values = refused(TaskAdd, body)
    assert code == "InvalidRequestBody"
    assert words in values["Reason"]


@pytest.mark.parametrize(
    ("model", "body", "name"),
    [
        (TaskAdd, {}, "id"),
        (TaskAdd, b"", "id"),
        (TaskAdd, {"id": "t"}, "commandLine"),
        (TaskAdd, {"id": "t", "commandLine": None}, "commandLine"),
        (TaskAdd, {"id": "not valid"}, "commandLine"),
        (TaskAdd, TASK | {"environmentSettings": [{"value": "x"}]}, "name"),
        (TaskAdd, TASK | {"resourceFiles": [{"filePath": "x"}]}, "httpUrl"),
        (TaskAdd, TASK | {"resourceFiles": [{"httpUrl": "http://h"}]}, "filePath"),
        (TaskAdd, TASK | {"outputFiles": [{"filePattern": "*"}]}, "destination"),
        (JobAdd, {"id": "j"}, "poolInfo"),
        (JobAdd, {"id": "j", "poolInfo": {}}, "poolId"),
        (JobAdd, JOB | {"jobReleaseTask": {"commandLine": "x"}}, "jobPreparationTask"),
        (JobDisable, {}, "disableTasks"),
        (JobScheduleAdd, {"id": "s", "schedule": {}}, "jobSpecification"),
        (NodeUserAdd, {}, "name"),
        (LogUpload, {"containerUrl": "http://h"}, "startTime"),
    ],
)
def test_what_is_missing_is_named(model: type[Body], body: Any, name: str) -> None:
    """A required property that is missing or null is told ahead of values that are wrong."""
    assert refused(model, body) == ("MissingRequiredProperty", {"PropertyName": name})


@pytest.mark.parametrize(
    ("model", "body", "name", "words"),
    [
        (TaskAdd, TASK | {"id": "a b"}, "id", "letters, digits, hyphens and underscores"),
        (TaskAdd, TASK | {"id": "a\n"}, "id", "letters, digits"),
        (TaskAdd, TASK | {"id": "ü"}, "id", "letters, digits"),
        (TaskAdd, TASK | {"id": ""}, "id", "must not be empty"),
        (TaskAdd, TASK | {"id": "x" * 65}, "id", "longer than 64"),
        (TaskAdd, TASK | {"displayName": "x" * 1025}, "displayName", "longer than 1024"),
        (TaskAdd, TASK | {"commandLine": ""}, "commandLine", "must not be empty"),
        (TaskAdd, TASK | {"requiredSlots": 0}, "requiredSlots", "less than 1"),
        (TaskAdd, TASK | {"requiredSlots": 2**40}, "requiredSlots", "greater than 256"),
        (TaskAdd, TASK | {"constraints": {"maxTaskRetryCount": -2}}, "maxTaskRetryCount", "less than -1"),
        (
            TaskAdd,
            TASK | {"constraints": {"maxWallClockTime": "1h"}},
            "maxWallClockTime",
            "ISO 8601 duration",
        ),
        (
            TaskAdd,
            TASK | {"constraints": {"maxWallClockTime": "-PT1S"}},
            "maxWallClockTime",
            "less than zero",
        ),
        (TaskAdd, TASK | {"userIdentity": {"username": "a", "autoUser": {}}}, "userIdentity", "exclusive"),
        (TaskAdd, TASK | {"userIdentity": {"autoUser": {"scope": "node"}}}, "scope", "one of task, pool"),
        (
            TaskAdd,
            TASK | {"dependsOn": {"taskIdRanges": [{"start": 2, "end": 1}]}},
            "taskIdRanges",
            "after its",
        ),
        (TaskAdd, TASK | {"dependsOn": {"taskIdRanges": [{"start": -1, "end": 1}]}}, "start", "less than 0"),
        (JobAdd, JOB | {"priority": 1001}, "priority", "greater than 1000"),
        (JobAdd, JOB | {"priority": -1001}, "priority", "less than -1000"),
        (JobAdd, JOB | {"maxParallelTasks": -2}, "maxParallelTasks", "less than -1"),
        (JobAdd, JOB | {"onTaskFailure": "panic"}, "onTaskFailure", "noaction"),
        (JobPatch, {"priority": 5000}, "priority", "greater than 1000"),
        (JobDisable, {"disableTasks": "later"}, "disableTasks", "requeue, terminate, wait"),
        (NodeReboot, {"nodeRebootOption": "now"}, "nodeRebootOption", "retaineddata"),
        (NodeUserAdd, {"name": "u" * 21}, "name", "longer than 20"),
        (NodeUserAdd, {"name": "u", "expiryTime": "soon"}, "expiryTime", "not a time"),
    ],
)
def test_what_is_out_of_bounds_is_named(model: type[Body], body: Any, name: str, words: str) -> None:
    """A value that may not be is InvalidPropertyValue with the property, what was sent and why not."""
    code, values = refused(model, body)
    assert (code, values["PropertyName"]) == ("InvalidPropertyValue", name)
    assert words in values["Reason"]
    assert "PropertyValue" in values


def test_optional_bodies_may_be_missing() -> None:
    """Terminate, reboot and their like may come without a body, or with an empty one."""
    assert parse_body(JobTerminate, b"").to_wire() == {}
    assert parse_body(NodeReboot, b"").to_wire() == {"nodeRebootOption": "requeue"}
    assert parse_body(NodeDeallocate, b"{}").to_wire() == {"nodeDeallocateOption": "requeue"}
    assert parse_body(NodeDisableScheduling, b"").to_wire() == {"nodeDisableSchedulingOption": "requeue"}


def test_a_users_password_is_not_kept() -> None:
    """A node user's password is checked, then forgotten; times are written as the service writes them."""
    user = {"name": "u", "isAdmin": True, "password": "secret", "expiryTime": "2030-01-01T00:00:00.000Z"}
    assert kept(NodeUserAdd, user) == {"name": "u", "isAdmin": True, "expiryTime": "2030-01-01T00:00:00Z"}
    assert kept(NodeUserReplace, {"password": "secret"}) == {}
