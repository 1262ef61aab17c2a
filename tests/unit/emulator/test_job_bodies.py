"""Jobs' and job schedules' bodies: defaults, patches, replacements."""

from __future__ import annotations

from datetime import timedelta

from azure.batch import models

from batch_emulator.api.bodies import parse_body
from batch_emulator.api.bodies.jobs import JobAdd, JobPatch, JobReplace
from batch_emulator.api.bodies.schedules import JobScheduleAdd, JobSchedulePatch, JobScheduleReplace
from batch_emulator.durations import UNLIMITED
from tests.unit.emulator.official_client import sent_by
from tests.unit.emulator.reading import IDENTITY, JOB, kept, refused


def test_a_job_gets_the_services_defaults() -> None:
    """A job with id and pool alone comes back with all that the service fills in."""
    options = models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="p"))
    assert parse_body(JobAdd, sent_by(lambda client: client.create_job(options)).body).to_wire() == {
        "id": "j",
        "poolInfo": {"poolId": "p"},
        "priority": 0,
        "maxParallelTasks": -1,
        "allowTaskPreemption": False,
        "usesTaskDependencies": False,
        "constraints": {"maxWallClockTime": UNLIMITED, "maxTaskRetryCount": 0},
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
    }


def test_a_jobs_own_tasks_get_their_defaults() -> None:
    """Manager, preparation and release task each have defaults; the manager takes the job's retries."""
    body = JOB | {
        "constraints": {"maxTaskRetryCount": 5},
        "jobManagerTask": {"id": "m", "commandLine": "m"},
        "jobPreparationTask": {"commandLine": "p"},
        "jobReleaseTask": {"commandLine": "r"},
    }
    answer = kept(JobAdd, body)
    unlimited = {"maxWallClockTime": UNLIMITED, "retentionTime": "P7D"}
    assert answer["jobManagerTask"] == {
        "id": "m",
        "commandLine": "m",
        "constraints": unlimited | {"maxTaskRetryCount": 5},
        "requiredSlots": 1,
        "killJobOnCompletion": True,
        "userIdentity": IDENTITY,
        "runExclusive": True,
        "allowLowPriorityNode": True,
    }
    assert answer["jobPreparationTask"] == {
        "id": "jobpreparation",
        "commandLine": "p",
        "constraints": unlimited | {"maxTaskRetryCount": 0},
        "waitForSuccess": True,
        "userIdentity": IDENTITY,
        "rerunOnNodeRebootAfterSuccess": True,
    }
    assert answer["jobReleaseTask"] == {
        "id": "jobrelease",
        "commandLine": "r",
        "maxWallClockTime": "PT15M",
        "retentionTime": "P7D",
        "userIdentity": IDENTITY,
    }


def test_a_patch_names_only_what_changes_each_part_whole() -> None:
    """Patching constraints with one of them puts the other back to its default; the rest is not named."""
    options = models.BatchJobUpdateOptions(
        constraints=models.BatchJobConstraints(max_wall_clock_time=timedelta(days=1279, hours=12)),
        metadata=[],
    )
    sent = sent_by(lambda client: client.update_job("j", options))
    assert parse_body(JobPatch, sent.body).to_wire() == {
        "constraints": {"maxWallClockTime": "P1279DT12H", "maxTaskRetryCount": 0},
        "metadata": [],
    }


def test_replacing_a_job_puts_the_rest_back() -> None:
    """Update Job takes the job that a client has read, and what it lacks goes back to its default."""
    read = models.BatchJob({"odata.metadata": "m", "id": "j", "priority": 3, "poolInfo": {"poolId": "p"}})
    sent = sent_by(lambda client: client.replace_job("j", read))
    answer = parse_body(JobReplace, sent.body).to_wire()
    assert answer["priority"] == 3
    assert answer["maxParallelTasks"] == -1
    assert "metadata" not in answer


def test_a_schedules_jobs_get_the_jobs_defaults() -> None:
    """A schedule keeps its specification with the defaults of a job, also when it is patched or replaced."""
    body = {"schedule": {"recurrenceInterval": "P1D"}, "jobSpecification": {"poolInfo": {"poolId": "p"}}}
    specification = {name: value for name, value in kept(JobAdd, JOB).items() if name != "id"}
    answer = {"schedule": {"recurrenceInterval": "P1D"}, "jobSpecification": specification}
    assert kept(JobScheduleAdd, body | {"id": "s"}) == answer | {"id": "s"}
    assert kept(JobScheduleReplace, body) == answer
    assert kept(JobSchedulePatch, {"jobSpecification": body["jobSpecification"]}) == {
        "jobSpecification": specification
    }


def test_an_empty_metadata_name_has_its_own_code() -> None:
    """Metadata without a name is EmptyMetadataKey."""
    assert refused(JobAdd, JOB | {"metadata": [{"name": "", "value": "x"}]})[0] == "EmptyMetadataKey"
