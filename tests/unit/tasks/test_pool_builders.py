"""Pool, image and job bodies, and when an existing pool will do."""

import os
from datetime import datetime, timedelta, timezone

import pytest
from azure.batch import models
from pydantic import ValidationError

from tasks.bodies.existing_pools import find_differences, read_pool_run_key
from tasks.bodies.pools import build_pool
from tasks.bodies.start_tasks import build_start_task
from tasks.errors import PoolError
from tasks.images import Image, pick_image
from tasks.jobs import build_job
from tasks.pools import is_shared_by_start_task
from tasks.spec.naming import names_of_run
from tasks.spec.ownership import Ownership
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import Cleanup, ImageSpec, PoolSpec, is_due
from tasks.watch.lease_formula import build_lease, read_formula

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
NAMES = names_of_run("run-1")
OWNED = Ownership("run-1", NOW + timedelta(hours=2), "always")
IMAGE = Image("canonical", "ubuntu-24_04-lts", "server", "latest", "batch.node.ubuntu 24.04")


def body_of(spec: PoolSpec, start_task: models.BatchStartTask | None = None) -> models.BatchPoolCreateOptions:
    start_task = start_task or build_start_task(None, None, spec.start_command)
    return build_pool(NAMES, spec, IMAGE, start_task, OWNED, build_lease(spec, OWNED.expires_at))


def offered(
    sku: str, verified: str = "verified", ends_at: datetime | None = None
) -> models.BatchSupportedImage:
    return models.BatchSupportedImage(
        node_agent_sku_id="batch.node.ubuntu 24.04",
        image_reference=models.BatchVmImageReference(
            publisher="Canonical", offer="ubuntu-24_04-lts", sku=sku, version="latest"
        ),
        os_type="linux",
        verification_type=verified,
        batch_support_end_of_life=ends_at,
    )


def test_the_image_is_chosen_with_its_node_agent():
    """A verified image is found whatever its case, and brings its agent."""
    found = pick_image([offered("minimal"), offered("server")], ImageSpec(), NOW)
    assert (found.publisher, found.sku, found.node_agent_sku_id) == (
        "Canonical",
        "server",
        IMAGE.node_agent_sku_id,
    )


@pytest.mark.parametrize(
    "image",
    [offered("server", "unverified"), offered("server", ends_at=NOW - timedelta(days=1)), offered("minimal")],
    ids=["unverified", "retired", "another"],
)
def test_an_image_that_will_not_do_is_refused_with_alternatives(image):
    """Unverified, retired and unknown images are refused, and others are named."""
    with pytest.raises(
        PoolError, match=r"no verified image canonical ubuntu-24_04-lts server.*Canonical .* other"
    ):
        pick_image([image, offered("other")], ImageSpec(), NOW)


def test_pool_body_brings_the_application_as_root_and_waits():
    """The start task has the program as a resource file, runs elevated, and tasks wait for it."""
    start_task = build_start_task("app.py", "https://x?sig=s", None)
    pool = body_of(PoolSpec(task_slots_per_node=4), start_task).as_dict()
    start = pool["startTask"]
    assert start["resourceFiles"] == [{"httpUrl": "https://x?sig=s", "filePath": "application/app.py"}]
    assert start["userIdentity"] == {"autoUser": {"scope": "pool", "elevationLevel": "admin"}}
    assert start["waitForSuccess"] is True
    assert "sig=" not in start["commandLine"]
    assert (pool["id"], pool["taskSlotsPerNode"]) == ("fan-out-run-1", 4)
    assert {"name": "run_key", "value": "run-1"} in pool["metadata"]


def test_pool_is_a_lease_from_the_first_moment():
    """A new pool has a formula with its nodes and its end, and no size that would stay."""
    spec = PoolSpec(dedicated_nodes=3, low_priority_nodes=2, idle_minutes=30)
    pool = body_of(spec)
    assert (pool.target_dedicated_nodes, pool.target_low_priority_nodes) == (None, None)
    assert (pool.enable_auto_scale, pool.auto_scale_evaluation_interval) == (True, timedelta(minutes=5))
    assert read_formula(pool.auto_scale_formula) == build_lease(spec, OWNED.expires_at)


def test_pool_with_nothing_to_do_at_start_has_no_start_task():
    """No application and no command make no start task, so nodes are ready sooner."""
    assert "startTask" not in body_of(PoolSpec()).as_dict()


def test_only_a_pool_that_ends_with_its_run_depends_on_the_run_s_containers():
    """A pool that may live longer gets no application by its start task: its later nodes would fail."""
    assert is_shared_by_start_task(PoolSpec(), Cleanup())
    assert not is_shared_by_start_task(PoolSpec(pool_id="mine"), Cleanup())
    assert not is_shared_by_start_task(PoolSpec(), Cleanup(pool="on_success"))


SUBNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/words"


def test_pool_body_has_what_the_spec_says_of_network_containers_and_all_else():
    """Subnet, container configuration and overrides are in the body, beside what a run needs of it."""
    registry = {"server": "acr.io", "username": "me", "password_variable": "PATH"}
    spec = PoolSpec(
        low_priority_nodes=2,
        subnet_id=SUBNET,
        containers={"images": ["acr.io/words:1"], "registry": registry},
        overrides={"virtualMachineConfiguration": {"licenseType": "RHEL_BYOS"}, "displayName": "words"},
    )
    pool = body_of(spec).as_dict()
    machine = pool["virtualMachineConfiguration"]
    assert pool["networkConfiguration"] == {"subnetId": SUBNET}
    assert machine["containerConfiguration"] == {
        "type": "dockerCompatible",
        "containerImageNames": ["acr.io/words:1"],
        "containerRegistries": [
            {"registryServer": "acr.io", "username": "me", "password": os.environ["PATH"]}
        ],
    }
    assert (machine["licenseType"], machine["imageReference"]["sku"]) == ("RHEL_BYOS", "server")
    assert (pool["id"], pool["displayName"]) == ("fan-out-run-1", "words")


def test_an_image_for_container_tasks_must_know_docker():
    """The same image without a container runtime is refused, and another with one named."""
    plain, docker = offered("server"), offered("docker")
    docker.capabilities = ["DockerCompatible"]
    with pytest.raises(PoolError, match=r"for container tasks canonical .* server.*Canonical .* docker"):
        pick_image([plain, docker], ImageSpec(), NOW, for_containers=True)
    assert pick_image([plain, docker], ImageSpec(sku="docker"), NOW, for_containers=True).sku == "docker"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"containers": {"images": ["python"]}}, "no container configuration"),
        ({"start_command": "apt-get update"}, "start_command none instead of apt-get update"),
        ({"overrides": {"displayName": "words"}}, "displayName none instead of words"),
        (
            {"overrides": {"taskSchedulingPolicy": {"nodeFillType": "pack"}}},
            "taskSchedulingPolicy.nodeFillType none instead of pack",
        ),
        ({"overrides": {"applicationPackageReferences": [{"applicationId": "a"}]}}, "instead of [{"),
        ({"subnet_id": SUBNET}, "subnet_id none instead of /subscriptions"),
    ],
)
def test_a_pool_that_lacks_containers_or_network_will_not_do(change, message):
    """What the spec asks for and the existing pool has not is a difference."""
    (found,) = find_differences(existing(), PoolSpec(**change), IMAGE)
    assert message in found


def existing(**changes) -> models.BatchPool:
    body = body_of(PoolSpec()).as_dict()
    return models.BatchPool({**body, **changes})


def test_a_pool_like_the_spec_will_do():
    """A pool made from the same spec has no find_differences, whatever the case of its names."""
    assert list(find_differences(existing(vmSize="standard_d2s_v3"), PoolSpec(), IMAGE)) == []
    assert read_pool_run_key(existing()) == "run-1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vmSize": "STANDARD_A1"}, "vm_size STANDARD_A1 instead of STANDARD_D2S_V3"),
        ({"taskSlotsPerNode": 3}, "task_slots_per_node 3 instead of 1"),
        ({"enableAutoScale": False, "targetDedicatedNodes": 0}, "no nodes"),
        (
            {"virtualMachineConfiguration": {"imageReference": {"publisher": "p", "offer": "o", "sku": "s"}}},
            "image p o s instead of canonical ubuntu-24_04-lts server",
        ),
    ],
)
def test_a_pool_unlike_the_spec_is_told_apart(changes, message):
    """Each difference is named with both values."""
    (found,) = find_differences(existing(**changes), PoolSpec(), IMAGE)
    assert message in found


def test_a_start_command_that_nobody_asks_for_is_a_difference_only_in_pools_of_ours():
    """A pool that runs have made is as another run wanted it; what others let theirs do is right."""
    spec = PoolSpec(start_command="apt-get update")
    made = body_of(spec).as_dict()
    (found,) = find_differences(models.BatchPool(made), PoolSpec(), IMAGE)
    assert found == "start_command apt-get update instead of none"
    assert list(find_differences(models.BatchPool({**made, "metadata": []}), PoolSpec(), IMAGE)) == []
    assert list(find_differences(models.BatchPool(made), spec, IMAGE)) == []


def test_overrides_are_in_a_pool_though_the_service_has_added_to_them():
    """What the service adds, and words in its own case, make no difference."""
    overrides = {
        "networkConfiguration": {"endpoints": [{"name": "ssh"}]},
        "interNodeCommunication": "enabled",
    }
    found = existing(
        networkConfiguration={"endpoints": [{"name": "SSH", "port": 22}], "scope": "none"},
        interNodeCommunication="Enabled",
    )
    assert list(find_differences(found, PoolSpec(overrides=overrides), IMAGE)) == []
    overrides["networkConfiguration"]["endpoints"].append({"name": "web"})
    assert len(list(find_differences(found, PoolSpec(overrides=overrides), IMAGE))) == 1


def test_a_pool_without_nodes_but_with_autoscale_will_do():
    """A formula may bring nodes, so none is no difference."""
    scaled = existing(targetDedicatedNodes=0)
    assert list(find_differences(scaled, PoolSpec(), IMAGE)) == []


def test_the_service_ends_the_job_if_nobody_else_does():
    """A job has a wall-clock limit a little beyond the run's own."""
    assert build_job(
        "j", NAMES, RunOptions(timeout_seconds=1200)
    ).constraints.max_wall_clock_time == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("when", "after_success", "after_failure"),
    [("always", True, True), ("on_success", True, False), ("never", False, False)],
)
def test_cleanup_is_due_by_its_policy(when, after_success, after_failure):
    """Always, on success, never."""
    assert (is_due(when, True), is_due(when, False)) == (after_success, after_failure)


@pytest.mark.parametrize(
    "values",
    [
        {"dedicated_nodes": 0},
        {"task_slots_per_node": 0},
        {"pool_id": "no spaces"},
        {"nodes": 3},
        {"vm_size": ""},
    ],
)
def test_a_pool_spec_that_cannot_be_is_refused(values):
    """Bounds and names are checked before a run starts."""
    with pytest.raises(ValidationError):
        PoolSpec(**values)
