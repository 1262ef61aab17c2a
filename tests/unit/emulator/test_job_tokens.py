"""Access tokens that tasks are given for their job."""

from __future__ import annotations

import base64
from datetime import datetime, timezone

import pytest

from batch_emulator.api.auth import Access, verify
from batch_emulator.errors import BatchError
from batch_emulator.job_tokens import issue_token, read_token
from tests.unit.emulator.driver import Driver

KEY = base64.b64encode(b"a key of the account").decode()
ACCESS = Access("account", base64.b64decode(KEY))


def call(token: str, path: str) -> None:
    headers = {"authorization": f"Bearer {token}"}
    verify(ACCESS, method="GET", path=path, query=[], headers=headers, now=datetime.now(timezone.utc))


@pytest.mark.parametrize("path", ["/jobs/Job1", "/jobs/job1/tasks", "/jobs/job1/tasks/t/files/wd/x"])
def test_token_opens_its_job(path):
    """A token lets its bearer do whatever concerns the job; ids do not tell case."""
    call(issue_token(KEY, "job1"), path)


def test_token_of_a_schedules_job():
    """The colon in the id of a schedule's job may come escaped."""
    call(issue_token(KEY, "s:job-1"), "/jobs/s%3Ajob-1/tasks")


@pytest.mark.parametrize("path", ["/jobs/job10", "/jobs/job10/tasks", "/jobs", "/pools", "/pools/jobs/job1"])
def test_token_opens_nothing_else(path):
    """Whatever concerns not this job is 403 InsufficientPermissions."""
    with pytest.raises(BatchError, match="InsufficientPermissions"):
        call(issue_token(KEY, "job1"), path)


def test_token_of_another_key():
    """A token that another key has signed, or that was changed, opens nothing."""
    header, _, signature = issue_token(KEY, "job1").split(".")
    claims = issue_token(KEY, "job2").split(".")[1]
    others = [
        issue_token(base64.b64encode(b"x").decode(), "job1"),
        f"{header}.{claims}.{signature}",
        "",
        "a.b.c",
    ]
    for token in others:
        assert read_token(ACCESS.key_bytes, token) is None
        with pytest.raises(BatchError, match="AuthenticationFailed"):
            call(token, "/jobs/job1")


def test_only_a_task_that_asks_gets_a_token():
    """AZ_BATCH_AUTHENTICATION_TOKEN is there for tasks whose settings want it, and for no others."""
    driver = Driver(key=KEY)
    driver.add_pool(taskSlotsPerNode=2)
    driver.add_job()
    driver.add_task("with", authenticationTokenSettings={"access": ["job"]})
    driver.add_task("without", authenticationTokenSettings={})
    found = {
        each.launch.environment["AZ_BATCH_TASK_ID"]: each.launch.environment
        for each in driver.launched.values()
    }
    assert read_token(ACCESS.key_bytes, found["with"]["AZ_BATCH_AUTHENTICATION_TOKEN"]) == "job"
    assert "AZ_BATCH_AUTHENTICATION_TOKEN" not in found["without"]
