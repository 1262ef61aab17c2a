"""The deployments that `prefect deploy --all` registers."""

import importlib
from pathlib import Path

import pytest
import yaml
from prefect import Flow

from deployments.local.settings import PREFECT_FILE, REPOSITORY, WORK_POOL

DEPLOYMENTS = yaml.safe_load((REPOSITORY / PREFECT_FILE).read_text())["deployments"]


def load_flow(deployment: dict) -> Flow:
    path, _, name = deployment["entrypoint"].partition(":")
    return getattr(importlib.import_module(".".join(Path(path).with_suffix("").parts)), name)


def names() -> list[str]:
    return [f"{load_flow(deployment).name}/{deployment['name']}" for deployment in DEPLOYMENTS]


def test_names_are_stable():
    """Users, schedules and documentation call the deployments by these names."""
    assert {"top-n-words/count-words", "fan-out/run-program", "top-n-words/nightly"} <= set(names())
    assert len(set(names())) == len(names())


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=names())
def test_parameters_exist(deployment):
    """A deployment sets only parameters that its flow has."""
    assert set(deployment.get("parameters", {})) <= set(load_flow(deployment).parameters.properties)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=names())
def test_no_schedule_is_active(deployment):
    """Deploying starts nothing that costs money: whoever wants a schedule wakes it."""
    assert all(schedule["active"] is False for schedule in deployment.get("schedules", []))


def test_a_cron_schedule_is_there():
    """One deployment has a cron schedule with a time zone and a name to wake it by."""
    schedules = [schedule for one in DEPLOYMENTS for schedule in one.get("schedules", [])]
    assert any({"cron", "timezone", "slug"} <= set(schedule) for schedule in schedules)


def test_they_run_in_the_local_work_pool():
    """All of them go to the pool whose worker the local stack starts."""
    assert {deployment["work_pool"]["name"] for deployment in DEPLOYMENTS} == {WORK_POOL}


def test_the_list_reads_as_a_menu():
    """Each deployment has a name of its own, and a first sentence that says what it does in a line."""
    assert len({deployment["name"] for deployment in DEPLOYMENTS}) == len(DEPLOYMENTS)
    sentences = [deployment["description"].partition(".")[0] for deployment in DEPLOYMENTS]
    assert max(map(len, sentences)) <= 80
