"""Tasks' bodies: what the official client sends is taken, completed, and refused by name."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from azure.batch import models

from batch_emulator.api.bodies import parse_body, parse_object
from batch_emulator.api.bodies.base import Body
from batch_emulator.api.bodies.nodes import LogUpload
from batch_emulator.api.bodies.tasks import TaskAdd, TaskReplace, check_exit_conditions, parse_collection
from batch_emulator.api.refusals import REFUSALS, allowed_by
from batch_emulator.durations import UNLIMITED
from batch_emulator.errors import BatchError
from tests.unit.emulator.official_client import sent_by
from tests.unit.emulator.reading import IDENTITY, TASK, kept, refused


def test_a_task_gets_the_services_defaults() -> None:
    """A task with id and command line alone comes back with identity, slot and limits."""
    assert parse_object(TaskAdd, TASK).to_wire(job_retries=2) == TASK | {
        "requiredSlots": 1,
        "userIdentity": IDENTITY,
        "constraints": {"maxWallClockTime": UNLIMITED, "retentionTime": "P7D", "maxTaskRetryCount": 2},
    }


def test_a_tasks_own_constraints_win_over_the_jobs() -> None:
    """Retries that the task names stay; those that it does not are the job's, or left to the caller."""
    own = TASK | {"constraints": {"maxTaskRetryCount": 0, "maxWallClockTime": "PT90M"}}
    assert parse_object(TaskAdd, own).to_wire(job_retries=5)["constraints"] == {
        "maxWallClockTime": "PT1H30M",
        "retentionTime": "P7D",
        "maxTaskRetryCount": 0,
    }
    part = TASK | {"constraints": {"retentionTime": "PT1H"}}
    assert parse_object(TaskAdd, part).to_wire(job_retries=5)["constraints"]["maxTaskRetryCount"] == 5
    assert "maxTaskRetryCount" not in parse_object(TaskAdd, part).to_wire()["constraints"]


def full_task() -> models.BatchTaskCreateOptions:
    return models.BatchTaskCreateOptions(
        id="Task_1",
        display_name="ü",
        command_line="/bin/sh -c 'echo $HOME'",
        resource_files=[
            models.ResourceFile(http_url="http://h/c/b?sig=x", file_path="in/a.txt", file_mode="0644"),
            models.ResourceFile(storage_container_url="http://h/c?sig=x", blob_prefix="p/", file_path="d"),
        ],
        output_files=[
            models.OutputFile(
                file_pattern="../std*.txt",
                destination=models.OutputFileDestination(
                    container=models.OutputFileBlobContainerDestination(
                        container_url="http://h/o?sig=x",
                        path="t",
                        upload_headers=[
                            models.OutputFileUploadHeader(name="x-ms-blob-content-type", value="a/b")
                        ],
                    )
                ),
                upload_options=models.OutputFileUploadConfiguration(
                    upload_condition=models.OutputFileUploadCondition.TASK_FAILURE
                ),
            )
        ],
        environment_settings=[models.EnvironmentSetting(name="A", value="b c")],
        affinity_info=models.BatchAffinityInfo(affinity_id="TVM:x"),
        constraints=models.BatchTaskConstraints(
            max_wall_clock_time=timedelta(days=400, seconds=1.5), max_task_retry_count=-1
        ),
        required_slots=2,
        user_identity=models.UserIdentity(
            auto_user=models.AutoUserSpecification(elevation_level=models.ElevationLevel.ADMIN)
        ),
        depends_on=models.BatchTaskDependencies(
            task_ids=["a"], task_id_ranges=[models.BatchTaskIdRange(start=1, end=3)]
        ),
        exit_conditions=models.ExitConditions(
            exit_codes=[
                models.ExitCodeMapping(
                    code=1, exit_options=models.ExitOptions(job_action=models.BatchJobActionKind.TERMINATE)
                )
            ],
            default=models.ExitOptions(dependency_action=models.DependencyAction.SATISFY),
        ),
    )


def test_the_official_clients_task_is_kept_whole() -> None:
    """All that the client says of a task comes back: durations, enumerations and users normalised."""
    sent = sent_by(lambda client: client.create_task("j", full_task()))
    answer = parse_body(TaskAdd, sent.body).to_wire()
    plain = json.loads(sent.body)
    same = ("id", "displayName", "commandLine", "resourceFiles", "environmentSettings", "affinityInfo")
    same += ("requiredSlots", "dependsOn", "exitConditions")
    assert {name: answer[name] for name in same} == {name: plain[name] for name in same}
    assert answer["outputFiles"][0]["uploadOptions"] == {"uploadCondition": "TaskFailure"}
    assert answer["outputFiles"][0]["destination"] == plain["outputFiles"][0]["destination"]
    assert answer["userIdentity"] == {"autoUser": {"scope": "pool", "elevationLevel": "admin"}}
    assert answer["constraints"] == {
        "maxWallClockTime": "P400DT1.5S",
        "retentionTime": "P7D",
        "maxTaskRetryCount": -1,
    }


def test_a_kept_task_can_be_sent_again() -> None:
    """What the service answers for a task is itself a body that means the same."""
    sent = sent_by(lambda client: client.create_task("j", full_task()))
    answer = parse_body(TaskAdd, sent.body).to_wire()
    assert parse_object(TaskAdd, answer).to_wire() == answer


FILE = {"httpUrl": "http://h/b", "filePath": "f"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"storageContainerUrl": "http://h"}, "mutually exclusive"),
        ({"blobPrefix": "p"}, "blobPrefix is valid only with"),
        ({"fileMode": "rwx"}, "octal"),
        ({"fileMode": "0888"}, "octal"),
    ],
)
def test_a_resource_file_has_one_source(change: dict[str, str], words: str) -> None:
    """Of the three sources exactly one, a prefix only for containers, the mode octal."""
    code, values = refused(TaskAdd, TASK | {"resourceFiles": [FILE | change]})
    assert code == "InvalidPropertyValue"
    assert words in values["Reason"]


REFUSED_PARTS = {
    "containerSettings": TASK | {"containerSettings": {"imageName": "alpine"}},
    "identityReference": TASK | {"resourceFiles": [FILE | {"identityReference": {"resourceId": "/x"}}]},
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_honoured_is_refused_by_name(name: str) -> None:
    """Each row of the table of refusals answers UnsupportedProperty with its property and reason."""
    code, values = refused(TaskAdd, REFUSED_PARTS[name])
    assert code == "UnsupportedProperty"
    assert values["PropertyName"] == name
    assert REFUSALS[name] in values["Reason"]


MANAGED = {"identityReference": {"resourceId": "/x"}}
OUTPUT = {
    "filePattern": "*",
    "destination": {"container": {"containerUrl": "https://a/c", **MANAGED}},
    "uploadOptions": {"uploadCondition": "taskcompletion"},
}
LOGS = {"containerUrl": "https://a/c", "startTime": "2026-01-01T00:00:00Z", **MANAGED}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (TaskAdd, TASK | {"outputFiles": [OUTPUT]}),
        (
            TaskAdd,
            TASK
            | {
                "multiInstanceSettings": {
                    "coordinationCommandLine": "x",
                    "commonResourceFiles": [FILE | MANAGED],
                }
            },
        ),
        (LogUpload, LOGS),
    ],
)
def test_no_files_are_read_or_written_as_an_identity(model: type[Body], body: dict[str, Any]) -> None:
    """So it is wherever files have one."""
    code, values = refused(model, body)
    assert (code, values["PropertyName"]) == ("UnsupportedProperty", "identityReference")


def test_container_tasks_are_taken_where_they_may_run_as_processes() -> None:
    """With the setting `host` their settings are kept, and nothing else that is refused is taken."""
    allowed = allowed_by("host")
    body = parse_object(TaskAdd, REFUSED_PARTS["containerSettings"], allowed).to_wire()
    assert body["containerSettings"] == {
        "imageName": "alpine",
        "workingDirectory": "taskWorkingDirectory",
    }
    with pytest.raises(BatchError) as caught:
        parse_object(TaskAdd, REFUSED_PARTS["identityReference"], allowed)
    assert caught.value.code == "UnsupportedProperty"


def test_a_refused_property_may_be_empty() -> None:
    """What asks for nothing is not refused."""
    answer = kept(TaskAdd, TASK | {"containerSettings": None, "applicationPackageReferences": []})
    assert "containerSettings" not in answer


def test_application_packages_do_not_exist() -> None:
    """The account has no application packages, and says so of each as the service does."""
    code, values = refused(TaskAdd, TASK | {"applicationPackageReferences": [{"applicationId": "tool"}]})
    assert code == "InvalidApplicationPackageReferences"
    assert values == {"tool": "The specified application package does not exist."}


def test_a_long_list_of_dependencies_is_refused() -> None:
    """Dependencies of more than 64,000 characters have a code of their own."""
    ids = [f"{number:064}" for number in range(1001)]
    assert refused(TaskAdd, TASK | {"dependsOn": {"taskIds": ids}})[0] == "TaskDependencyListTooLong"


def test_a_collection_is_read_task_by_task() -> None:
    """The tasks of a collection come as they are, for each is accepted or refused alone."""
    tasks = [full_task(), models.BatchTaskCreateOptions(id="not valid", command_line="x")]
    collection = models.BatchTaskGroup(task_values=tasks)
    entries = parse_collection(sent_by(lambda client: client.create_task_collection("j", collection)).body)
    assert [entry["id"] for entry in entries] == ["Task_1", "not valid"]
    assert parse_object(TaskAdd, entries[0]).id == "Task_1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MissingRequiredProperty"),
        ([], "InvalidRequestBody"),
        ({"value": {}}, "InvalidRequestBody"),
        ({"value": None}, "InvalidRequestBody"),
        ({"value": ["x"]}, "InvalidRequestBody"),
        ({"value": [TASK] * 101}, "InvalidPropertyValue"),
    ],
)
def test_a_collection_holds_at_most_100_tasks(body: Any, code: str) -> None:
    """What is no list of objects, or is longer than 100, is refused as a whole."""
    with pytest.raises(BatchError, match=code):
        parse_collection(json.dumps(body).encode())


def test_replacing_a_task_puts_its_constraints_back() -> None:
    """Update Task without constraints means their defaults; the rest of the body is passed over."""
    defaults = {"maxWallClockTime": UNLIMITED, "retentionTime": "P7D", "maxTaskRetryCount": 1}
    assert parse_object(TaskReplace, {}).to_wire(job_retries=1) == {"constraints": defaults}
    body = {"odata.metadata": "x", "authenticationTokenSettings": {}, "constraints": {"maxTaskRetryCount": 4}}
    assert parse_object(TaskReplace, body).to_wire(1)["constraints"] == defaults | {"maxTaskRetryCount": 4}


@pytest.mark.parametrize(
    ("options", "job", "refusal"),
    [
        ({"jobAction": "terminate"}, {"onTaskFailure": "noaction"}, "jobAction"),
        ({"jobAction": "terminate"}, {"onTaskFailure": "performexitoptionsjobaction"}, None),
        ({"dependencyAction": "satisfy"}, {"usesTaskDependencies": False}, "dependencyAction"),
        ({"dependencyAction": "satisfy"}, {"usesTaskDependencies": True}, None),
    ],
)
@pytest.mark.parametrize("place", ["default", "exitCodes", "exitCodeRanges"])
def test_exit_conditions_need_the_jobs_consent(
    options: dict[str, str], job: dict[str, Any], refusal: str | None, place: str
) -> None:
    """An exit condition that acts on job or dependents is refused where its job has that switched off."""
    coded = [{"code": 1, "start": 1, "end": 1, "exitOptions": options}]
    task = {"exitConditions": {place: options if place == "default" else coded}}
    if refusal is None:
        check_exit_conditions(task, job)
        return
    with pytest.raises(BatchError, match=refusal):
        check_exit_conditions(task, job)
