"""What each API version has: properties, states and operations."""

from __future__ import annotations

import pytest

from tests.api.wire import LINUX, NEWEST, OLDEST, URL, WINDOWS, Wire, error

POOL = {"id": "p", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}


VERSIONS = [OLDEST, "2024-02-01.19.0", "2024-07-01.20.0", NEWEST]


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_promised_version_is_served(wire: Wire, version: str) -> None:
    """A pool, a job and a task are made and read in each API version that the service promises."""
    await wire.post("/pools", POOL, version=version)
    await wire.post("/jobs", {"id": "j", "poolInfo": {"poolId": "p"}}, version=version)
    await wire.post("/jobs/j/tasks", {"id": "t", "commandLine": "true"}, version=version)
    assert (await wire.get("/jobs/j/tasks/t", version=version))["id"] == "t"


async def test_request_without_a_version_is_refused(wire: Wire) -> None:
    """An API version must be given; that is told before a signature is missed, as recorded."""
    assert (await wire.send("GET", "/pools", version="")).status_code == 400
    expected = {"QueryParameterName": "api-version"}
    unsigned = await wire.client.get(f"{URL}/pools")
    assert error(unsigned) == (400, "MissingRequiredQueryParameter", expected)


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
    """Lifetime statistics are answered until 2022-10-01.16.0 and retired after it."""
    job_statistics = await wire.get("/lifetimejobstats", version=OLDEST)
    assert (job_statistics["numSucceededTasks"], job_statistics["userCPUTime"]) == ("0", "PT0S")
    pool_statistics = await wire.get("/lifetimepoolstats", version=OLDEST)
    assert pool_statistics["usageStats"]["dedicatedCoreTime"] == "PT0S"
    in_order = list(pool_statistics["resourceStats"])
    assert in_order[:4] == ["startTime", "diskReadIOps", "diskWriteIOps", "lastUpdateTime"]
    for path in ("/lifetimejobstats", "/lifetimepoolstats"):
        assert error(await wire.send("GET", path))[:2] == (400, "LifetimeStatsAPIRetired")


CERTIFICATE = {
    "thumbprint": "AB12",
    "thumbprintAlgorithm": "SHA1",
    "data": "AAAA",
    "certificateFormat": "cer",
    "password": "",
}
AT = "/certificates(thumbprintAlgorithm=sha1,thumbprint=ab12)"


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/pools/p"), ("POST", "/pools/p/updateproperties")])
async def test_certificates_that_a_windows_pool_gets_later_have_the_same_store(
    wire: Wire, method: str, path: str
) -> None:
    """As recorded, whichever request names them: the user's own store, seen by all, in this order."""
    await wire.post("/certificates", CERTIFICATE, version=OLDEST)
    await wire.add_pool(virtualMachineConfiguration=WINDOWS, version=OLDEST)
    named = {"certificateReferences": [{"thumbprint": "ab12", "thumbprintAlgorithm": "sha1"}]}
    others = {"applicationPackageReferences": [], "metadata": []}
    await wire.send(method, path, named if method == "PATCH" else named | others, version=OLDEST)
    (reference,) = (await wire.get("/pools/p", version=OLDEST))["certificateReferences"]
    assert list(reference.items()) == [
        ("thumbprint", "ab12"),
        ("thumbprintAlgorithm", "sha1"),
        ("storeLocation", "CurrentUser"),
        ("storeName", "My"),
        ("visibility", ["starttask", "task", "remoteuser"]),
    ]


async def test_old_versions_have_certificates(wire: Wire) -> None:
    """A certificate is added, listed, read and deleted as recorded; the newest version knows none."""
    assert error(await wire.send("GET", AT, version=OLDEST))[:2] == (404, "CertificateNotFound")
    added = await wire.send("POST", "/certificates", CERTIFICATE, version=OLDEST)
    assert added.status_code == 201
    assert added.headers["location"].endswith("/certificates(ThumbprintAlgorithm=sha1,Thumbprint=ab12)")
    again = await wire.send("POST", "/certificates", CERTIFICATE, version=OLDEST)
    assert error(again)[:2] == (409, "CertificateExists")
    asked = AT.replace("ab12", "AB12")
    found = await wire.get(asked, version=OLDEST)
    assert found["url"].endswith(asked)
    names = ["thumbprint", "thumbprintAlgorithm", "url", "state", "stateTransitionTime", "publicData"]
    assert list(found)[1:] == names
    listed = await wire.get("/certificates", version=OLDEST, query={"$filter": "state eq 'active'"})
    assert [each["thumbprint"] for each in listed["value"]] == ["ab12"]
    cancelled = await wire.send("POST", f"{AT}/canceldelete", version=OLDEST)
    assert error(cancelled)[:2] == (409, "CertificateStateActive")
    assert (await wire.send("DELETE", AT, version=OLDEST)).status_code == 202
    assert error(await wire.send("DELETE", AT, version=OLDEST))[:2] == (409, "CertificateBeingDeleted")
    for method, path in (("GET", "/certificates"), ("GET", AT), ("DELETE", AT), ("POST", "/certificates")):
        assert error(await wire.send(method, path))[:2] == (400, "InvalidUri")


async def test_pools_name_certificates_that_are_there(wire: Wire) -> None:
    """A pool of an old version may name a certificate of the account and no other."""
    named = {"certificateReferences": [{"thumbprint": "AB12", "thumbprintAlgorithm": "sha1"}]}
    pool = POOL | named
    refused = await wire.send("POST", "/pools", pool, version=OLDEST)
    assert error(refused)[:2] == (400, "InvalidCertificateReferences")
    await wire.send("POST", "/certificates", CERTIFICATE, version=OLDEST)
    assert (await wire.send("POST", "/pools", pool, version=OLDEST)).status_code == 201


async def test_old_versions_reimage_cloud_services_only(wire: Wire) -> None:
    """Until 2024-02-01.19.0 a node of a pool of virtual machines could not be reimaged; since then it can."""
    await wire.add_pool(targetDedicatedNodes=1)
    path = f"/pools/p/nodes/{await wire.idle_node()}/reimage"
    for version in (OLDEST, "2024-02-01.19.0"):
        status, code, values = error(await wire.send("POST", path, {}, version=version))
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


async def test_slots_had_another_name(wire: Wire) -> None:
    """Before 2020-09 a pool had `maxTasksPerNode`, and tasks no slots; as recorded in 2019."""
    version = "2018-12-01.8.0"
    await wire.add_pool(maxTasksPerNode=2, version=version)
    assert (await wire.get("/pools/p"))["taskSlotsPerNode"] == 2
    old = await wire.get("/pools/p", version="2020-03-01.11.0")
    assert (old["maxTasksPerNode"], "taskSlotsPerNode" in old) == (2, False)
    assert (await wire.get("/pools/p", version="2020-09-01.12.0"))["taskSlotsPerNode"] == 2
    await wire.add_job()
    await wire.add_task()
    assert "requiredSlots" not in await wire.get("/jobs/j/tasks/t", version=version)


async def test_slots_had_another_name_in_all_that_is_asked_and_refused(wire: Wire) -> None:
    """`$select`, bodies and refusals before 2020-09 have the former name, and that alone."""
    version = "2018-12-01.8.0"
    await wire.add_pool(maxTasksPerNode=2, version=version)
    selected = {"$select": "id,maxTasksPerNode"}
    for path in ("/pools", "/pools/p"):
        found = await wire.get(path, query=selected, version=version)
        (one,) = found.get("value", [found])
        assert (one["id"], one["maxTasksPerNode"]) == ("p", 2)
        refused = await wire.send("GET", path, query={"$select": "id,taskSlotsPerNode"}, version=version)
        assert error(refused)[:2] == (400, "InvalidQueryParameterValue")
        assert error(await wire.send("GET", path, query=selected))[:2] == (400, "InvalidQueryParameterValue")
    pool = POOL | {"id": "q"}
    todays = await wire.send("POST", "/pools", pool | {"taskSlotsPerNode": 2}, version=version)
    assert error(todays)[:2] == (400, "InvalidRequestBody")
    assert "'taskSlotsPerNode'" in error(todays)[2]["Reason"]
    for number in (99, 999):
        many = await wire.send("POST", "/pools", pool | {"maxTasksPerNode": number}, version=version)
        _, code, values = error(many)
        assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "maxTasksPerNode")


async def test_ports_for_remote_login_are_not_an_auto_pool_s_either(wire: Wire) -> None:
    """The service's own ports before 2024-07 are refused with a job's and a schedule's pool."""
    ports = {"backendPort": 22, "frontendPortRangeStart": 15000, "frontendPortRangeEnd": 15100}
    nat = [{"name": "ssh", "protocol": "tcp", **ports}]
    pool = {name: value for name, value in POOL.items() if name != "id"}
    pool |= {"networkConfiguration": {"endpointConfiguration": {"inboundNATPools": nat}}}
    auto = {"poolInfo": {"autoPoolSpecification": {"poolLifetimeOption": "job", "pool": pool}}}
    bodies = {
        "/jobs": {"id": "j"} | auto,
        "/jobschedules": {"id": "s", "schedule": {"recurrenceInterval": "P1D"}, "jobSpecification": auto},
    }
    for path, body in bodies.items():
        _, code, values = error(await wire.send("POST", path, body, version="2018-12-01.8.0"))
        assert (code, values["PropertyName"]) == ("InvalidPropertyValue", "backendPort")
        await wire.post(path, body)


async def test_what_never_was_is_told_as_recorded(wire: Wire) -> None:
    """A task that was ended before it came to a node has an empty place and no details; a schedule that says
    nothing is left out."""
    await wire.add_job()
    await wire.add_task()
    await wire.post("/jobs/j/tasks/t/terminate")
    task = await wire.get("/jobs/j/tasks/t")
    assert task["nodeInfo"] == {}
    assert task["executionInfo"]["failureInfo"] == {
        "category": "UserError",
        "code": "TaskEnded",
        "message": "Task Was Ended by User Request",
    }
    specification = {"jobSpecification": {"poolInfo": {"poolId": "p"}}}
    await wire.post("/jobschedules", {"id": "s", "schedule": {}, **specification})
    assert "schedule" not in await wire.get("/jobschedules/s")


async def test_old_versions_have_their_own_defaults(wire: Wire) -> None:
    """Before 2019-08 a node did not wait for its start task, and two defaults of today were not told, as
    recorded in 2018; who asked for them otherwise got what he asked for."""
    version = "2018-12-01.8.0"
    await wire.add_pool(startTask={"commandLine": "true"}, networkConfiguration={}, version=version)
    old = await wire.get("/pools/p", version=version)
    assert old["startTask"]["waitForSuccess"] is False
    assert old["startTask"]["userIdentity"] == {"autoUser": {"elevationLevel": "nonadmin"}}
    assert "dynamicVNetAssignmentScope" not in old.get("networkConfiguration", {})
    new = await wire.get("/pools/p")
    assert new["startTask"]["userIdentity"]["autoUser"] == {"scope": "pool", "elevationLevel": "nonadmin"}
    waits = {"commandLine": "true", "waitForSuccess": True, "userIdentity": {"autoUser": {"scope": "task"}}}
    await wire.add_pool("q", startTask=waits, version=version)
    told = (await wire.get("/pools/q", version=version))["startTask"]
    assert (told["waitForSuccess"], told["userIdentity"]["autoUser"]["scope"]) == (True, "task")
    await wire.add_pool("r", startTask={"commandLine": "true"}, version="2019-08-01.10.0")
    assert (await wire.get("/pools/r"))["startTask"]["waitForSuccess"] is True


async def test_task_counts_of_old_versions_have_no_slots(wire: Wire) -> None:
    """Before 2020-09 tasks were counted without their slots, in an object less, as recorded."""
    await wire.add_job()
    counts = await wire.get("/jobs/j/taskcounts", version="2020-03-01.11.0")
    assert counts.pop("odata.metadata").endswith("$metadata#taskcounts/@Element")
    assert list(counts) == ["active", "running", "completed", "succeeded", "failed"]
    assert "taskSlotCounts" in await wire.get("/jobs/j/taskcounts", version="2020-09-01.12.0")


async def test_old_versions_list_node_agents(wire: Wire) -> None:
    """Before 2019-06 clients asked for node agents and the images verified with each, not for images."""
    version = "2018-12-01.8.0"
    answer = await wire.get("/nodeagentskus", version=version, query={"$filter": "osType eq 'linux'"})
    assert answer["odata.metadata"].endswith("$metadata#nodeagentskus")
    agents = {agent["id"]: agent["verifiedImageReferences"] for agent in answer["value"]}
    assert list(agents) == sorted(agents)
    assert {"publisher", "offer", "sku", "version"} == set(agents["batch.node.ubuntu 22.04"][0])
    assert {agent["osType"] for agent in answer["value"]} == {"linux"}
    assert error(await wire.send("GET", "/nodeagentskus", version="2019-06-01.9.0"))[:2] == (
        400,
        "InvalidUri",
    )


async def test_resource_files_of_old_versions_name_a_blob(wire: Wire) -> None:
    """Before 2018-12 a resource file had `blobSource`, which later versions call `httpUrl`."""
    await wire.add_job()
    version = "2018-08-01.7.0"
    file = {"filePath": "f", "blobSource": "https://example.com/f"}
    task = {"id": "t", "commandLine": "true", "resourceFiles": [file]}
    await wire.post("/jobs/j/tasks", task, version=version)
    assert (await wire.get("/jobs/j/tasks/t", version=version))["resourceFiles"] == [file]
    assert (await wire.get("/jobs/j/tasks/t"))["resourceFiles"][0]["httpUrl"] == file["blobSource"]
    first = await wire.get("/jobs/j/tasks/t", version="2018-12-01.8.0")
    assert first["resourceFiles"][0]["httpUrl"] == file["blobSource"]
    other = task | {"id": "u", "resourceFiles": [{"filePath": "f", "httpUrl": "https://example.com/f"}]}
    assert error(await wire.send("POST", "/jobs/j/tasks", other, version=version))[1] == "InvalidRequestBody"
    assert error(await wire.send("POST", "/jobs/j/tasks", task | {"id": "u"}))[1] == "InvalidRequestBody"
