"""Task dependencies and exit conditions in the pure core."""

from __future__ import annotations

import pytest

from batch_emulator.node.launch import Failure, Outcome
from batch_emulator.scheduler import tasks
from tests.unit.emulator.driver import FAILED, SUCCESS, Driver

PREPROCESSING = Outcome(None, Failure("UserError", "BlobNotFound", "no blob"), preprocessing_failure=True)
UPLOAD = Outcome(0, Failure("UserError", "FileUploadMiscError", "no upload"), upload_failure=True)
EXIT_AND_UPLOAD = Outcome(3, Failure("UserError", "FailureExitCode", "3"), upload_failure=True)


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.add_pool(taskSlotsPerNode=8)
    return driver


def test_failed_dependency_blocks_for_good(driver):
    """A task that depends on one that has failed stays active, also when its other dependencies succeed."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("a")
    driver.add_task("b")
    driver.add_task("last", dependsOn={"taskIds": ["a", "b"]})
    driver.end("/a", FAILED)
    driver.end("/b")
    assert (driver.task("last").state, driver.running()) == ("active", [])


def test_dependency_that_fails_and_succeeds_later(driver):
    """A failed task that is reactivated and succeeds lets its dependents run."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("a")
    driver.add_task("last", dependsOn={"taskIds": ["a"]})
    driver.end("/a", FAILED)
    driver.do(tasks.reactivate_task, "job", "a")
    driver.end("/a")
    assert driver.running() == ["last"]


def test_dependency_may_be_added_later(driver):
    """A task waits for a task that does not exist yet."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("last", dependsOn={"taskIds": ["A"]})
    driver.add_task("a")
    driver.end("/a")
    assert driver.running() == ["last"]


def test_deleted_dependency(driver):
    """A dependent of a task that is deleted waits for another of its id, unless that one had succeeded."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("a")
    driver.add_task("b")
    driver.add_task("last", dependsOn={"taskIds": ["a", "b"]})
    driver.end("/a")
    driver.do(tasks.delete_task, "job", "a")
    driver.do(tasks.delete_task, "job", "b")
    driver.end("/b")
    assert driver.task("last").state == "active"
    driver.add_task("b")
    driver.end("/b")
    assert driver.running() == ["last"]


def test_deleted_dependent_does_not_come_back(driver):
    """A task that is deleted while it waits never runs; another of its id waits anew."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("a")
    driver.add_task("b")
    driver.add_task("last", dependsOn={"taskIds": ["a"]})
    driver.do(tasks.delete_task, "job", "last")
    driver.add_task("last", dependsOn={"taskIds": ["b"]})
    driver.end("/a")
    assert driver.running() == ["b"]
    driver.end("/b")
    assert driver.running() == ["last"]


def test_terminated_dependent_never_runs(driver):
    """A task that is terminated while it waits stays completed when its dependency succeeds."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("a")
    driver.add_task("last", dependsOn={"taskIds": ["a"]})
    driver.do(tasks.terminate_task, "job", "last")
    driver.end("/a")
    assert driver.task("last").state == "completed"


@pytest.mark.parametrize("number", ["2", "02", "0002"])
def test_leading_zeros_in_a_range(driver, number):
    """In a range of ids a number is a number, with however many zeros in front."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("last", dependsOn={"taskIdRanges": [{"start": 1, "end": 2}]})
    driver.add_task("1")
    driver.add_task(number)
    driver.end("/1")
    driver.end(f"/{number}")
    assert driver.running() == ["last"]
    driver.add_task("later", dependsOn={"taskIdRanges": [{"start": 1, "end": 2}]})
    assert driver.running() == ["last", "later"]


def test_range_without_end_costs_nothing(driver):
    """A range of two thousand million ids is taken as it is, and holds its task back."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("last", dependsOn={"taskIdRanges": [{"start": 0, "end": 2**31 - 1}]})
    driver.add_task("0")
    driver.end("/0")
    assert driver.task("last").state == "active"


SATISFY, BLOCK = {"dependencyAction": "satisfy"}, {"dependencyAction": "block"}


@pytest.mark.parametrize(
    ("conditions", "outcome", "runs"),
    [
        ({"exitCodes": [{"code": 3, "exitOptions": SATISFY}]}, FAILED, True),
        ({"exitCodes": [{"code": 4, "exitOptions": SATISFY}]}, FAILED, False),
        ({"exitCodeRanges": [{"start": 2, "end": 3, "exitOptions": SATISFY}]}, FAILED, True),
        (
            {"exitCodeRanges": [{"start": 4, "end": 9, "exitOptions": BLOCK}], "default": SATISFY},
            FAILED,
            True,
        ),
        ({"exitCodes": [{"code": 3, "exitOptions": BLOCK}], "default": SATISFY}, FAILED, False),
        ({"exitCodes": [{"code": 0, "exitOptions": BLOCK}]}, SUCCESS, False),
        ({"default": BLOCK}, SUCCESS, True),
        ({"preProcessingError": SATISFY}, PREPROCESSING, True),
        ({"default": SATISFY}, PREPROCESSING, True),
        ({"preProcessingError": BLOCK, "default": SATISFY}, PREPROCESSING, False),
        ({"fileUploadError": SATISFY}, UPLOAD, True),
        ({"fileUploadError": BLOCK, "default": SATISFY}, UPLOAD, False),
        ({"fileUploadError": SATISFY}, EXIT_AND_UPLOAD, True),
        (
            {"exitCodes": [{"code": 3, "exitOptions": BLOCK}], "fileUploadError": SATISFY},
            EXIT_AND_UPLOAD,
            False,
        ),
    ],
)
def test_dependency_action(driver, conditions, outcome, runs):
    """The options of a listed exit code come first, then those of the error, then the default of failures."""
    driver.add_job(usesTaskDependencies=True)
    driver.add_task("t", exitConditions=conditions)
    driver.add_task("after", dependsOn={"taskIds": ["t"]})
    driver.end("/t", outcome)
    assert driver.running() == (["after"] if runs else [])


@pytest.mark.parametrize(
    ("conditions", "outcome", "state"),
    [
        ({}, FAILED, "terminating"),
        ({}, SUCCESS, "active"),
        ({"default": {"jobAction": "none"}}, FAILED, "active"),
        ({"exitCodes": [{"code": 3, "exitOptions": {"jobAction": "disable"}}]}, FAILED, "disabling"),
        ({"exitCodes": [{"code": 0, "exitOptions": {"jobAction": "terminate"}}]}, SUCCESS, "terminating"),
        ({"preProcessingError": {"jobAction": "none"}}, PREPROCESSING, "active"),
    ],
)
def test_job_action(driver, conditions, outcome, state):
    """With performexitoptionsjobaction a failure ends the job unless its exit options say otherwise."""
    driver.add_job(onTaskFailure="performexitoptionsjobaction")
    driver.add_task("t", exitConditions=conditions)
    driver.end("/t", outcome)
    assert driver.world.job("job").state == state


def test_job_action_names_its_reason(driver):
    """A job that a failed task has ended says TaskFailed."""
    driver.add_job(onTaskFailure="performexitoptionsjobaction")
    driver.add_task("t")
    driver.end("/t", FAILED)
    assert driver.world.job("job").terminate_reason == "TaskFailed"
