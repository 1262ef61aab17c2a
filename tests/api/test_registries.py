"""What the service tells of the container registries that it was given passwords of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.service import FAST, serve
from tests.api.wire import CONTAINER_HOST, Wire

REGISTRY = {"username": "me", "password": "SECRET", "registryServer": "acr.io"}
IN_CONTAINER = {"containerSettings": {"imageName": "image", "registry": REGISTRY}}
CONFIGURATION = {"type": "dockerCompatible", "containerRegistries": [REGISTRY]}
EXTENSION = {"name": "mine", "publisher": "p", "type": "t", "settings": {"password": "public"}}
POOL = {
    "vmSize": "standard_d2s_v3",
    "virtualMachineConfiguration": CONTAINER_HOST
    | {"containerConfiguration": CONFIGURATION, "extensions": [EXTENSION]},
    "startTask": {"commandLine": "true", **IN_CONTAINER},
}
TASK = {"commandLine": "true", **IN_CONTAINER}
JOB = {
    "jobManagerTask": {"id": "manager", **TASK},
    "jobPreparationTask": TASK,
    "jobReleaseTask": TASK,
    "poolInfo": {"autoPoolSpecification": {"poolLifetimeOption": "job", "pool": POOL}},
}


async def fill(wire: Wire) -> str:
    """Each kind of resource that can name a registry; the id of a node."""
    await wire.add_pool(targetDedicatedNodes=1, **POOL)
    await wire.add_job()
    await wire.add_task(**TASK)
    await wire.add_job("auto", **JOB)
    await wire.post(
        "/jobschedules",
        {"id": "s", "schedule": {"recurrenceInterval": "PT1H"}, "jobSpecification": JOB},
    )
    return await wire.idle_node()


@pytest.mark.parametrize(
    "path",
    [
        "/pools",
        "/pools/p/nodes",
        "/pools/p/nodes/{node}",
        "/jobs",
        "/jobs/j/tasks",
        "/jobschedules",
    ],
)
async def test_passwords_of_registries_are_told_nowhere(tmp_path: Path, path: str) -> None:
    """Wherever a registry is shown, its password is not, and all else is."""
    async with serve(tmp_path, replace(FAST, containers="host")) as wire:
        answer = await wire.send("GET", path.format(node=await fill(wire)))
        assert answer.status_code == 200
        assert "acr.io" in answer.text
        assert "SECRET" not in answer.text


async def test_what_only_looks_like_a_password_is_told(tmp_path: Path) -> None:
    """Settings of an extension that are not protected are the user's own, and come back."""
    async with serve(tmp_path, replace(FAST, containers="host")) as wire:
        await fill(wire)
        (extension,) = (await wire.get("/pools/p"))["virtualMachineConfiguration"]["extensions"]
        assert extension["settings"] == {"password": "public"}
