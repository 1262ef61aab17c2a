"""What deploying again changes on the server, and what it leaves."""

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse, GlobalConcurrencyLimitResponse
from prefect.client.schemas.schedules import CronSchedule

from deployments.keeping import MEMORY, merged, said_by, three_way, with_memory

CRON = "0 2 * * *"


def said(**changes: Any) -> DeploymentUpdate:
    """What a file says, as `prefect deploy` would send it."""
    schedules = [{"slug": "nightly", "schedule": {"cron": CRON, "timezone": "UTC"}, "active": False}]
    values = {"parameters": {"num_words": 3}, "tags": ["a"], "paused": False, "concurrency_limit": 1}
    return DeploymentUpdate(**{**values, "schedules": schedules, "entrypoint": "f.py:f", **changes})


def deployed(file: DeploymentUpdate | None = None, **changes: Any) -> DeploymentResponse:
    """What the server has after that was deployed, and somebody has made changes."""
    file = file or said()
    schedules = [
        DeploymentSchedule(
            slug=one.slug, schedule=one.schedule, active=one.active, parameters=one.parameters or {}
        )
        for one in file.schedules or []
    ]
    limit = changes.pop("limit", file.concurrency_limit)
    values = {
        **{name: getattr(file, name) for name in ("parameters", "tags", "paused", "entrypoint")},
        "name": "nightly",
        "flow_id": uuid4(),
        "schedules": schedules,
        "global_concurrency_limit": limit and limit_of(limit),
        "parameter_openapi_schema": with_memory(file.parameter_openapi_schema, said_by(file)),
    }
    return DeploymentResponse.model_validate({**values, **changes})


def limit_of(limit: int) -> GlobalConcurrencyLimitResponse:
    values = {"active": True, "name": "x", "limit": limit, "active_slots": 0, "slot_decay_per_second": 0}
    return GlobalConcurrencyLimitResponse.model_validate({"id": uuid4(), **values})


def sent(file: DeploymentUpdate, server: DeploymentResponse) -> dict[str, Any]:
    update = merged(file, server)
    found = update.model_dump(mode="json", exclude_unset=True) if update else {}
    return {
        name: value
        for name, value in found.items()
        if name not in ("parameter_openapi_schema", "version_info")
    }


def test_the_same_again_sends_nothing():
    """Nothing is asked of the server, so that not even the runs that it has scheduled are made anew."""
    assert merged(said(), deployed()) is None


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"num_words": 9, "refresh": True}},
        {"tags": ["a", "mine"]},
        {"paused": True},
        {"limit": 5},
        {"limit": None},
        {"schedules": []},
    ],
    ids=str,
)
def test_what_was_changed_on_the_server_stays(change):
    """Parameters, tags, a pause, a limit and a schedule that was deleted."""
    assert merged(said(), deployed(**change)) is None


def test_what_the_file_changes_is_deployed():
    """Beside a change of the server's: of two parameters each side has changed one."""
    server = deployed(
        said(parameters={"num_words": 3, "inputs": "a"}), parameters={"num_words": 9, "inputs": "a"}
    )
    assert sent(said(parameters={"num_words": 3, "inputs": "b"}), server) == {
        "parameters": {"num_words": 9, "inputs": "b"}
    }


def schedule(slug: str | None = "nightly", cron: str = CRON, active: bool = True) -> DeploymentSchedule:
    return DeploymentSchedule(slug=slug, schedule=CronSchedule(cron=cron, timezone="UTC"), active=active)


def find_change(cron: str = CRON, active: bool = False) -> DeploymentUpdate:
    when = DeploymentScheduleUpdate(
        slug="nightly", schedule=CronSchedule(cron=cron, timezone="UTC"), active=active
    )
    return said(schedules=[when])


def test_a_schedule_that_was_resumed_stays_so():
    """Also when the file brings it another time."""
    server = deployed(schedules=[schedule()])
    assert merged(said(), server) is None
    (only,) = sent(find_change("30 1 * * *"), server)["schedules"]
    assert only["slug"] == "nightly"
    assert only["schedule"]["cron"] == "30 1 * * *"
    assert "active" not in only or only["active"] is True


def test_a_schedule_that_the_file_switches_on_is_switched_on():
    """What a user's own file says goes, as long as nobody has said otherwise since."""
    assert [one["active"] for one in sent(find_change(active=True), deployed())["schedules"]] == [True]


def test_schedules_of_the_dashboard_stay():
    """One without a slug makes the server replace all: so all are sent, with the change."""
    server = deployed(schedules=[schedule(), schedule(None, "0 7 * * *")])
    assert merged(said(), server) is None
    found = sent(find_change("30 1 * * *"), server)["schedules"]
    assert {(one["slug"], one["schedule"]["cron"], one["active"]) for one in found} == {
        (None, "0 7 * * *", True),
        ("nightly", "30 1 * * *", True),
    }


def test_without_a_memory_all_stays():
    """What the server has is taken for somebody's wish; what the file says is remembered from now on."""
    server = deployed(parameter_openapi_schema={}, paused=True, parameters={"num_words": 8})
    update = merged(said(), server)
    assert update is not None
    assert sent(said(), server) == {}
    assert (update.parameter_openapi_schema or {})[MEMORY] == said_by(said())


def test_a_deployment_takes_its_flow_s_parameters_alone():
    """The server refuses others; of what has no schema nothing is said."""
    assert with_memory({"properties": {"a": {}}}, {})["additionalProperties"] is False
    assert set(with_memory(None, {})) == {MEMORY}


def test_three_ways():
    """A key that neither has touched stays, one that the file drops goes, one that it adds comes."""
    assert three_way({"a": 1, "b": 1}, {"a": 1, "c": 3}, {"a": 2, "b": 1, "d": 4}) == {"a": 2, "d": 4, "c": 3}
