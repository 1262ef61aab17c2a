"""The token with which a Batch task may call the service about its own job."""

from __future__ import annotations

import pytest

from tests.api.wire import NEWEST, OLDEST, Wire, error, eventually

SETTINGS = {"authenticationTokenSettings": {"access": ["job"]}}


async def token_of_a_task(wire: Wire) -> str:
    """What a task of job `j` finds in its environment."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    command = "/bin/sh -c 'printf %s $AZ_BATCH_AUTHENTICATION_TOKEN'"
    task = {"id": "t", "commandLine": command} | SETTINGS
    await wire.post("/jobs/j/tasks", task, version=OLDEST)

    async def completed() -> bool:
        return (await wire.get("/jobs/j/tasks/t"))["state"] == "completed"

    await eventually(completed)
    return (await wire.send("GET", "/jobs/j/tasks/t/files/stdout.txt")).text


async def send_with(wire: Wire, token: str, path: str):
    headers = {"Authorization": f"Bearer {token}"}
    return await wire.client.get(f"{path}?api-version={OLDEST}", headers=headers)


async def test_token_opens_its_job_and_nothing_else(wire: Wire) -> None:
    """With its token a task reads its own job in any case of the id, but neither another job nor a pool."""
    token = await token_of_a_task(wire)
    await wire.add_job("other")
    assert (await send_with(wire, token, "/jobs/J/tasks")).status_code == 200
    for path in ("/jobs/other", "/jobs", "/pools/p"):
        assert error(await send_with(wire, token, path))[:2] == (403, "InsufficientPermissions")


@pytest.mark.parametrize("token", ["ag==.0000", "nonsense", "ag==."])
async def test_made_up_token_opens_nothing(wire: Wire, token: str) -> None:
    """A token that the service has not signed is 401."""
    await wire.add_job()
    assert (await send_with(wire, token, "/jobs/j")).status_code == 401


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
async def test_settings_are_answered(wire: Wire, version: str) -> None:
    """A task's token settings are taken and come back, in the newest version too."""
    await wire.add_job()
    await wire.post("/jobs/j/tasks", {"id": "t", "commandLine": "true"} | SETTINGS, version=version)
    task = await wire.get("/jobs/j/tasks/t", version=version)
    assert task["authenticationTokenSettings"] == {"access": ["job"]}
