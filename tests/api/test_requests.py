"""What clients send, and that the service takes all of it."""

from __future__ import annotations

import pytest

from tests.api.wire import LINUX, Wire, error

POOL = {"id": "p", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}


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
