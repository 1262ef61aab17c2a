"""What clients send, and that the service takes all of it."""

from __future__ import annotations

import json

import pytest

from tests.api.wire import LINUX, NEWEST, OLDEST, Wire, error, eventually

POOL = {"id": "p", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}
VERSIONS = [OLDEST, "2024-02-01.19.0", "2024-07-01.20.0", NEWEST]


async def test_integers_may_be_text(wire: Wire) -> None:
    """The Azure CLI sends numbers as text; they come back as numbers."""
    await wire.add_pool(targetDedicatedNodes="0", taskSlotsPerNode="4")
    await wire.add_job(priority="7", constraints={"maxTaskRetryCount": "2"})
    pool, job = await wire.get("/pools/p"), await wire.get("/jobs/j")
    assert (pool["targetDedicatedNodes"], pool["taskSlotsPerNode"]) == (0, 4)
    assert (job["priority"], job["constraints"]["maxTaskRetryCount"]) == (7, 2)


@pytest.mark.parametrize("body", [None, {}])
async def test_job_is_terminated_with_or_without_a_body(wire: Wire, body: dict | None) -> None:
    """Terminate Job takes no body at all and an empty object alike."""
    await wire.add_job()
    answer = await wire.send("POST", "/jobs/j/terminate", body)
    assert answer.status_code == 202
    assert (await wire.get("/jobs/j"))["executionInfo"]["terminateReason"] == "UserTerminate"


@pytest.mark.parametrize("form", ["{}", '"{}"', 'W/"{}"'])
async def test_etags_are_compared_without_quotes(wire: Wire, form: str) -> None:
    """Newer clients put the ETag of the service in quotes; it is the same ETag."""
    await wire.add_job()
    etag = (await wire.send("GET", "/jobs/j")).headers["etag"]
    answer = await wire.send("PATCH", "/jobs/j", {"priority": 1}, headers={"If-Match": form.format(etag)})
    assert answer.status_code == 200


async def test_write_with_an_old_etag_is_412(wire: Wire) -> None:
    """A write on condition of an ETag that is not the resource's changes nothing."""
    await wire.add_job()
    headers = {"If-Match": "0x8D0000000000000"}
    answer = await wire.send("PATCH", "/jobs/j", {"priority": 1}, headers=headers)
    assert error(answer)[:2] == (412, "ConditionNotMet")
    assert (await wire.get("/jobs/j"))["priority"] == 0


async def test_put_of_a_job_changed_since_is_412(wire: Wire) -> None:
    """Update Job on condition of a time before its last change is refused."""
    await wire.add_job()
    headers = {"If-Unmodified-Since": "Wed, 28 Jun 2023 14:38:05 GMT"}
    answer = await wire.send("PUT", "/jobs/j", {"poolInfo": {"poolId": "p"}}, headers=headers)
    assert error(answer)[:2] == (412, "ConditionNotMet")


async def test_read_of_what_has_not_changed_is_304(wire: Wire) -> None:
    """A read on condition of a change answers 304 without a body where there is none."""
    await wire.add_job()
    etag = (await wire.send("GET", "/jobs/j")).headers["etag"]
    answer = await wire.send("GET", "/jobs/j", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("name", ["timeout", "timeOut"])
async def test_timeout_is_spelled_in_two_ways(wire: Wire, name: str) -> None:
    """Both spellings of the timeout parameter are signed and taken."""
    assert (await wire.send("GET", "/pools", query={name: "30"})).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; odata=minimalmetadata",
        "application/json; odata=minimalmetadata; charset=utf-8",
        "application/json",
    ],
)
async def test_content_type_may_name_a_charset(wire: Wire, content_type: str) -> None:
    """Bodies are read whatever their content type says beside JSON."""
    answer = await wire.send("POST", "/pools", POOL, headers={"Content-Type": content_type})
    assert answer.status_code == 201


async def test_deletion_may_have_a_content_type(wire: Wire) -> None:
    """The JavaScript client sends a content type with a DELETE that has no body."""
    await wire.add_job()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await wire.send("DELETE", "/jobs/j", headers=headers)).status_code == 202


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/octet-stream"])
async def test_what_a_client_accepts_does_not_matter(wire: Wire, accept: str) -> None:
    """JSON is answered whatever the Accept header says."""
    assert (await wire.send("GET", "/pools", headers={"Accept": accept})).status_code == 200


async def test_ids_do_not_tell_case_but_keep_it(wire: Wire) -> None:
    """A job is found under its id in any case, and answers with the id that it was given."""
    await wire.add_job("MyJob")
    assert (await wire.get("/jobs/MYJOB"))["id"] == "MyJob"


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_promised_version_is_served(wire: Wire, version: str) -> None:
    """A pool, a job and a task are made and read in each API version that the service promises."""
    await wire.post("/pools", POOL, version=version)
    await wire.post("/jobs", {"id": "j", "poolInfo": {"poolId": "p"}}, version=version)
    await wire.post("/jobs/j/tasks", {"id": "t", "commandLine": "true"}, version=version)
    assert (await wire.get("/jobs/j/tasks/t", version=version))["id"] == "t"


async def test_request_without_a_version_is_refused(wire: Wire) -> None:
    """An API version must be given."""
    answer = await wire.send("GET", "/pools", version="")
    assert answer.status_code == 400


async def test_body_may_not_have_what_its_version_lacks(wire: Wire) -> None:
    """A property of a later API version is unknown to an earlier one."""
    answer = await wire.send("POST", "/pools", POOL | {"upgradePolicy": {"mode": "manual"}}, version=OLDEST)
    status, code, values = error(answer)
    assert (status, code) == (400, "InvalidRequestBody")
    assert "upgradePolicy" in values["Reason"]


async def test_answer_shows_what_its_version_has(wire: Wire) -> None:
    """One pool is seen by each client as its API version describes pools."""
    tags = {"resourceTags": {"a": "b"}, "upgradePolicy": {"mode": "manual"}}
    await wire.add_pool(version="2024-07-01.20.0", **tags)
    shown = {version: set(await wire.get("/pools/p", version=version)) & set(tags) for version in VERSIONS}
    assert shown == {
        OLDEST: set(),
        "2024-02-01.19.0": set(tags),
        "2024-07-01.20.0": set(tags),
        NEWEST: {"upgradePolicy"},
    }


@pytest.mark.parametrize(
    ("version", "states"),
    [(OLDEST, set()), ("2024-07-01.20.0", {"deallocated", "deallocating", "upgradingOS"})],
)
async def test_node_counts_have_the_states_of_the_version(wire: Wire, version: str, states: set[str]) -> None:
    """States that came later are not counted for older clients."""
    await wire.add_pool()
    (counts,) = (await wire.get("/nodecounts", version=version))["value"]
    assert set(counts["dedicated"]) & {"deallocated", "deallocating", "upgradingOS"} == states


async def test_lifetime_statistics_are_of_old_versions(wire: Wire) -> None:
    """Lifetime statistics are answered until 2022-10-01.16.0 and are no operation after it."""
    job_statistics = await wire.get("/lifetimejobstats", version=OLDEST)
    assert (job_statistics["numSucceededTasks"], job_statistics["userCPUTime"]) == ("0", "PT0S")
    pool_statistics = await wire.get("/lifetimepoolstats", version=OLDEST)
    assert pool_statistics["usageStats"]["dedicatedCoreTime"] == "PT0S"
    assert error(await wire.send("GET", "/lifetimejobstats"))[:2] == (400, "InvalidUri")


async def test_old_versions_list_no_certificates(wire: Wire) -> None:
    """The account has no certificates; the newest version has no such operation."""
    assert (await wire.get("/certificates", version=OLDEST))["value"] == []
    path = "/certificates(thumbprintAlgorithm=sha1,thumbprint=0123456789abcdef)"
    assert error(await wire.send("GET", path, version=OLDEST))[:2] == (404, "CertificateNotFound")
    assert error(await wire.send("GET", "/certificates"))[:2] == (400, "InvalidUri")


async def test_old_versions_reimage_cloud_services_only(wire: Wire) -> None:
    """Before 2024 a node of a pool of virtual machines could not be reimaged; since then it can."""
    await wire.add_pool(targetDedicatedNodes=1)
    path = f"/pools/p/nodes/{await wire.idle_node()}/reimage"
    status, code, values = error(await wire.send("POST", path, {}, version=OLDEST))
    assert (status, code) == (409, "OperationNotValidOnNode")
    assert "cloudServiceConfiguration" in values["Reason"]
    assert (await wire.send("POST", path, {})).status_code == 202


async def test_desktop_of_a_cloud_service_is_a_file(wire: Wire) -> None:
    """Get Remote Desktop answers with a file for the nodes of cloud services, and refuses others."""
    service = {"id": "c", "vmSize": "small", "cloudServiceConfiguration": {"osFamily": "5"}}
    await wire.post("/pools", service | {"targetDedicatedNodes": 1}, version=OLDEST)
    path = f"/pools/c/nodes/{await wire.idle_node('c')}/rdp"
    answer = await wire.send("GET", path, version=OLDEST)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.text.startswith("full address:s:")
    assert error(await wire.send("GET", path))[:2] == (400, "InvalidUri")


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
