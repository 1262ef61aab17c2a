"""What the service refuses, with the status, the code and the values that it gives."""

from __future__ import annotations

import json

import pytest

from tests.api.wire import CONTAINER_HOST, LINUX, NEWEST, Wire, error, eventually

POOL = {"id": "p", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}


async def test_unreadable_task_refuses_the_whole_collection(wire: Wire) -> None:
    """A collection with an unknown property in one task cannot be read: none of its tasks is added."""
    await wire.add_job()
    tasks = [{"id": "a", "commandLine": "true"}, {"id": "b", "commandLine": "true", "unknown": 1}]
    answer = await wire.send("POST", "/jobs/j/addtaskcollection", {"value": tasks})
    assert error(answer)[:2] == (400, "InvalidRequestBody")
    assert (await wire.get("/jobs/j/tasks"))["value"] == []


async def test_collection_has_at_most_100_tasks(wire: Wire) -> None:
    """101 tasks are refused together."""
    await wire.add_job()
    tasks = [{"id": f"t{number}", "commandLine": "true"} for number in range(101)]
    answer = await wire.send("POST", "/jobs/j/addtaskcollection", {"value": tasks})
    assert answer.status_code == 400
    assert (await wire.get("/jobs/j/tasks"))["value"] == []


async def test_body_over_a_mebibyte_is_413_with_the_limit(wire: Wire) -> None:
    """A body larger than 1 MiB is refused with the greatest permissible length."""
    body = json.dumps({"id": "j", "displayName": "x" * 1_048_576}).encode()
    assert error(await wire.send("POST", "/jobs", body)) == (
        413,
        "RequestBodyTooLarge",
        {"MaxLimit": "1048576"},
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
async def test_body_that_is_no_json_object_is_refused(wire: Wire, body: bytes) -> None:
    """What is not a JSON object is 400 InvalidRequestBody."""
    assert error(await wire.send("POST", "/pools", body))[:2] == (400, "InvalidRequestBody")


async def test_body_is_checked_before_existence(wire: Wire) -> None:
    """A resize without targets is 400 also where the pool does not exist; a good one is 404."""
    refused = await wire.send("POST", "/pools/absent/resize", {})
    assert error(refused) == (
        400,
        "MissingRequiredProperty",
        {"PropertyName": "targetDedicatedNodes and/or targetLowPriorityNodes"},
    )
    absent = await wire.send("POST", "/pools/absent/resize", {"targetDedicatedNodes": 1})
    assert error(absent)[:2] == (404, "PoolNotFound")


async def test_unknown_size_is_named(wire: Wire) -> None:
    """A VM size that the account does not offer is refused."""
    code, values = error(await wire.send("POST", "/pools", POOL | {"vmSize": "standard_none"}))[1:]
    assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "vmSize")


async def test_unknown_image_is_named(wire: Wire) -> None:
    """A marketplace image that the account does not offer is refused with its three names."""
    image = {"publisher": "a", "offer": "b", "sku": "c"}
    machine = {"imageReference": image, "nodeAgentSKUId": "batch.node.ubuntu 24.04"}
    answer = await wire.send("POST", "/pools", POOL | {"virtualMachineConfiguration": machine})
    assert error(answer) == (
        400,
        "InvalidPropertyValue",
        {
            "PropertyName": "imageReference",
            "Reason": "The specified imageReference with publisher a offer b sku c is not supported.",
        },
    )


_COMPUTE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute"


@pytest.mark.parametrize(
    ("image_id", "formats"),
    [
        (f"{_COMPUTE}/images/mine", 2),
        (f"{_COMPUTE}/gallery/g/images/i/versions/v", 3),
        (f"{_COMPUTE}/galleries/g/images/i/versions/1.0.0", 0),
    ],
)
async def test_custom_image_has_an_id_of_a_gallery(wire: Wire, image_id: str, formats: int) -> None:
    """With an account key a pool's own image comes from a gallery; other ids are told the formats."""
    machine = {"imageReference": {"virtualMachineImageId": image_id}, "nodeAgentSKUId": "batch.node.el 9"}
    answer = await wire.send("POST", "/pools", POOL | {"virtualMachineConfiguration": machine})
    if not formats:
        assert answer.status_code == 201
        return
    status, code, values = error(answer)
    assert (status, code, values["PropertyName"]) == (400, "InvalidPropertyValue", "virtualMachineImageId")
    assert values["PropertyValue"] == image_id
    assert values["Reason"].count("/subscriptions/{subscriptionId}") == formats
    await wire.add_pool()
    changed = await wire.send("PATCH", "/pools/p", {"virtualMachineConfiguration": machine})
    pool = {"vmSize": "standard_d2s_v3", "virtualMachineConfiguration": machine}
    auto = {"autoPoolSpecification": {"poolLifetimeOption": "job", "pool": pool}}
    with_job = await wire.send("POST", "/jobs", {"id": "j", "poolInfo": auto})
    assert error(changed) == error(with_job) == error(answer)


async def test_containers_need_an_image_that_has_them(wire: Wire) -> None:
    """A pool for containers has an image with the capability, or one of its own; recorded."""
    containers = {"containerConfiguration": {"type": "dockerCompatible"}}
    answer = await wire.send("POST", "/pools", POOL | {"virtualMachineConfiguration": LINUX | containers})
    assert error(answer) == (
        400,
        "InvalidPropertyValue",
        {
            "PropertyName": "containerConfiguration",
            "Reason": "The specified imageReference with publisher canonical offer ubuntu-24_04-lts sku "
            "server does not support container feature.",
        },
    )
    await wire.post("/pools", POOL | {"virtualMachineConfiguration": CONTAINER_HOST | containers})


async def test_accounts_of_windows_are_not_of_linux(wire: Wire) -> None:
    """The account that does not go with the image is named, as recorded."""
    account = {"name": "me", "password": "p", "windowsUserConfiguration": {"loginMode": "interactive"}}
    answer = await wire.send("POST", "/pools", POOL | {"userAccounts": [account]})
    status, code, values = error(answer)
    assert (status, code, values["PropertyName"]) == (
        400,
        "InvalidPropertyValue",
        "windowsUserConfiguration",
    )
    assert values["Reason"].startswith(
        "The user configuration for user account 'me' has a mismatch with the OS"
    )
    await wire.add_pool()
    changed = await wire.send("PATCH", "/pools/p", {"userAccounts": [account]})
    assert error(changed) == (status, code, values)
    assert "userAccounts" not in await wire.get("/pools/p")


async def test_subnet_of_no_subscription_is_refused(wire: Wire) -> None:
    """A subnet in the nil subscription is in another one than the account; any other is kept."""
    network = "resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
    nil = f"/subscriptions/00000000-0000-0000-0000-000000000000/{network}"
    answer = await wire.send("POST", "/pools", POOL | {"networkConfiguration": {"subnetId": nil}})
    status, code, values = error(answer)
    assert (status, code, values["PropertyName"]) == (400, "InvalidPropertyValue", "subnetId")
    mine = f"/subscriptions/5a7c1d0e-4a8f-4c2f-9a6b-0d4b1d8e2f11/{network}"
    await wire.add_pool(networkConfiguration={"subnetId": mine})
    assert (await wire.get("/pools/p"))["networkConfiguration"] == {
        "subnetId": mine,
        "dynamicVNetAssignmentScope": "none",
        "enableAcceleratedNetworking": False,
    }


async def test_absent_application_packages_are_named(wire: Wire) -> None:
    """A reference to a package that the account lacks is 409, with the package's id as the key."""
    await wire.add_pool()
    body = {"applicationPackageReferences": [{"applicationId": "does-not-exist"}]}
    expected = {"does-not-exist": "The specified application package does not exist."}
    for answer in (
        await wire.send("POST", "/pools", POOL | {"id": "q"} | body),
        await wire.send("PATCH", "/pools/p", body),
    ):
        assert error(answer) == (409, "InvalidApplicationPackageReferences", expected)


async def test_deleting_pool_refuses_a_second_deletion(wire: Wire) -> None:
    """A pool that is being deleted says so."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.idle_node()
    await wire.send("DELETE", "/pools/p")
    assert error(await wire.send("DELETE", "/pools/p"))[:2] == (409, "PoolBeingDeleted")


async def test_status_of_preparations_needs_a_preparation_task(wire: Wire) -> None:
    """The status list of a job without a preparation or release task is 409."""
    await wire.add_job()
    answer = await wire.send("GET", "/jobs/j/jobpreparationandreleasetaskstatus")
    assert error(answer)[:2] == (409, "JobPreparationTaskOrReleaseTaskNotSpecified")


async def test_claimed_account_must_exist(wire: Wire) -> None:
    """A request in the name of another account is 403 and says which."""
    answer = await wire.client.get(
        f"/pools?api-version={NEWEST}", headers={"Authorization": "SharedKey another:c2ln"}
    )
    status, code, values = error(answer)
    assert (status, code) == (403, "AuthenticationFailed")
    assert values["AuthenticationErrorDetail"] == (
        "Cannot find the claimed account when trying to GetProperties for the account another."
    )


async def test_path_that_is_no_operation_is_refused(wire: Wire) -> None:
    """A path that the API does not have is 400, a method that a path does not take is 405."""
    assert error(await wire.send("GET", "/nothing"))[:2] == (400, "InvalidUri")
    assert error(await wire.send("PUT", "/pools"))[:2] == (405, "UnsupportedHttpVerb")


async def test_autoscale_formula_is_evaluated_with_its_error_inside(wire: Wire) -> None:
    """A formula that fails answers 200 with the error in the body, after the results so far."""
    await wire.add_pool()
    await eventually(lambda: _is_steady(wire))
    await wire.post("/pools/p/enableautoscale", {"autoScaleFormula": "$TargetDedicatedNodes=0"})
    body = {"autoScaleFormula": "$something_useless"}
    answer = (await wire.post("/pools/p/evaluateautoscale", body)).json()
    assert answer["odata.metadata"].endswith("#Microsoft.Azure.Batch.Protocol.Entities.AutoScaleRun")
    assert answer["error"]["code"] == "AutoScalingFormulaEvaluationError"
    assert answer["error"]["values"] == [
        {"name": "Message", "value": "Line 1, Col 1: Undefined symbol: $something_useless"}
    ]


async def _is_steady(wire: Wire) -> bool:
    return (await wire.get("/pools/p"))["allocationState"] == "steady"
