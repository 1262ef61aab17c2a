"""The headers of answers, as recorded from the service."""

from __future__ import annotations

import re
import uuid
from email.utils import parsedate_to_datetime

import pytest

from tests.api.wire import LINUX, NEWEST, OLDEST, URL, Wire, eventually

POOL = {"id": "p", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": LINUX}
ETAG = re.compile(r"0x8D[0-9A-F]{13}")
VALIDATORS = {"etag", "last-modified"}


def told(answer) -> set[str]:
    """The headers that differ from operation to operation."""
    return set(answer.headers) & (VALIDATORS | {"location", "dataserviceid", "content-type"})


@pytest.mark.parametrize("path", ["/pools", "/pools/absent"])
async def test_every_answer_says_who_gave_it(wire: Wire, path: str) -> None:
    """Successes and errors alike carry a request id, the data service's version and the server."""
    answer = await wire.send("GET", path)
    uuid.UUID(answer.headers["request-id"])
    assert answer.headers["dataserviceversion"] == "3.0"
    assert answer.headers["server"] == "Microsoft-HTTPAPI/2.0"


async def test_error_names_its_request(wire: Wire) -> None:
    """The request id of an error's headers is also in its message, with the time."""
    answer = await wire.send("GET", "/pools/absent")
    lines = answer.json()["message"]["value"].split("\n")
    assert lines[1] == f"RequestId:{answer.headers['request-id']}"
    assert re.fullmatch(r"Time:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", lines[2])


@pytest.mark.parametrize(("wanted", "echoed"), [("true", True), ("false", False), (None, False)])
async def test_clients_request_id_is_echoed_only_if_wanted(
    wire: Wire, wanted: str | None, echoed: bool
) -> None:
    """`return-client-request-id: true` brings the client's own request id back; nothing else does."""
    headers = {"client-request-id": "mine"} | ({"return-client-request-id": wanted} if wanted else {})
    answer = await wire.send("GET", "/pools", headers=headers)
    assert answer.headers.get("client-request-id") == ("mine" if echoed else None)


async def test_added_pool_has_validators_and_a_location(wire: Wire) -> None:
    """Add Pool answers 201 with an unquoted ETag, Last-Modified, Location and DataServiceId, and no body."""
    answer = await wire.send("POST", "/pools", POOL)
    assert (answer.status_code, answer.content) == (201, b"")
    assert told(answer) == {"etag", "last-modified", "location", "dataserviceid"}
    assert ETAG.fullmatch(answer.headers["etag"])
    assert answer.headers["location"] == answer.headers["dataserviceid"] == f"{URL}/pools/p"


async def test_added_job_is_located_at_job_1(wire: Wire) -> None:
    """The Location and DataServiceId of a new job are `/jobs/job-1`, whatever its id."""
    answer = await wire.send("POST", "/jobs", {"id": "another", "poolInfo": {"poolId": "p"}})
    assert answer.headers["location"] == answer.headers["dataserviceid"] == f"{URL}/jobs/job-1"


async def test_added_task_is_located_at_its_id(wire: Wire) -> None:
    """The Location of a new task is its URL."""
    await wire.add_job()
    answer = await wire.send("POST", "/jobs/j/tasks", {"id": "t", "commandLine": "true"})
    assert answer.headers["location"] == answer.headers["dataserviceid"] == f"{URL}/jobs/j/tasks/t"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/pools/p", {"metadata": []}, 200),
        ("POST", "/pools/p/updateproperties", {"metadata": [], "applicationPackageReferences": []}, 204),
        ("POST", "/pools/p/resize", {"targetDedicatedNodes": 0}, 202),
        ("POST", "/pools/p/stopresize", None, 202),
        ("PATCH", "/jobs/j", {"priority": 5}, 200),
        ("PUT", "/jobs/j", {"poolInfo": {"poolId": "p"}}, 200),
        ("POST", "/jobs/j/disable", {"disableTasks": "requeue"}, 202),
        ("POST", "/jobs/j/terminate", {}, 202),
        ("PUT", "/jobs/j/tasks/t", {"constraints": {}}, 200),
        ("POST", "/jobs/j/tasks/t/terminate", None, 204),
    ],
)
async def test_change_names_the_operation_and_no_location(
    wire: Wire, method: str, path: str, body: dict | None, status: int
) -> None:
    """A change answers with the new validators and its own URL as DataServiceId, without a Location."""
    await wire.add_pool()
    await eventually(lambda: is_steady(wire))
    await wire.add_job()
    await wire.add_task()
    answer = await wire.send(method, path, body)
    assert (answer.status_code, answer.content) == (status, b"")
    assert told(answer) == VALIDATORS | {"dataserviceid"}
    assert answer.headers["dataserviceid"] == URL + path


async def is_steady(wire: Wire) -> bool:
    return (await wire.get("/pools/p"))["allocationState"] == "steady"


@pytest.mark.parametrize("path", ["/pools/p", "/jobs/j", "/jobs/j/tasks/t"])
async def test_deletion_tells_nothing_of_the_deleted(wire: Wire, path: str) -> None:
    """Deletions answer without validators, Location or DataServiceId: pools and jobs 202, tasks 200."""
    await wire.add_pool()
    await wire.add_job()
    await wire.add_task()
    answer = await wire.send("DELETE", path)
    assert answer.status_code == (200 if "tasks" in path else 202)
    assert told(answer) == set()


async def test_reactivation_has_no_data_service_id(wire: Wire) -> None:
    """Reactivate Task answers 204 with an ETag but without DataServiceId."""
    await wire.add_job()
    await wire.add_task()
    await wire.post("/jobs/j/tasks/t/terminate")
    answer = await wire.send("POST", "/jobs/j/tasks/t/reactivate")
    assert answer.status_code == 204
    assert told(answer) == VALIDATORS


async def test_204_has_a_length_of_zero(wire: Wire) -> None:
    """An answer without content says so."""
    await wire.add_job()
    await wire.add_task()
    answer = await wire.send("POST", "/jobs/j/tasks/t/terminate")
    assert answer.headers["content-length"] == "0"


async def test_successes_are_chunked_and_errors_are_not(wire: Wire) -> None:
    """A success does not tell its length, an error does."""
    assert "content-length" not in (await wire.send("GET", "/pools")).headers
    refused = await wire.send("GET", "/pools/absent")
    assert refused.headers["content-length"] == str(len(refused.content))


async def test_resource_is_read_with_its_validators(wire: Wire) -> None:
    """Get Pool answers with the ETag and the time that are also in the body."""
    await wire.add_pool()
    answer = await wire.send("GET", "/pools/p")
    assert answer.headers["etag"] == answer.json()["eTag"]
    modified = parsedate_to_datetime(answer.headers["last-modified"])
    assert answer.json()["lastModified"].startswith(modified.strftime("%Y-%m-%dT%H:%M:%S"))


async def test_list_has_no_validators(wire: Wire) -> None:
    """A list has a content type and nothing that stands for one resource."""
    assert told(await wire.send("GET", "/pools")) == {"content-type"}


async def test_head_of_a_pool_has_only_validators(wire: Wire) -> None:
    """HEAD answers 200 without a content type, and 404 without a body for what is not there."""
    await wire.add_pool()
    answer = await wire.send("HEAD", "/pools/p")
    assert (answer.status_code, told(answer)) == (200, VALIDATORS)
    absent = await wire.send("HEAD", "/pools/absent")
    assert (absent.status_code, absent.content) == (404, b"")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (NEWEST, "application/json; odata=minimalmetadata"),
        ("2024-02-01.19.0", "application/json; odata=minimalmetadata"),
        ("2023-05-01.17.0", "application/json;odata=minimalmetadata"),
        (OLDEST, "application/json;odata=minimalmetadata"),
    ],
)
async def test_content_type_of_json_is_that_of_the_version(wire: Wire, version: str, expected: str) -> None:
    """Old API versions write no space in the content type, of errors either."""
    for path in ("/pools", "/pools/absent"):
        answer = await wire.send("GET", path, version=version)
        assert answer.headers["content-type"] == expected


async def test_stopping_a_resize_keeps_the_etag(wire: Wire) -> None:
    """A resize changes the pool's ETag; stopping it does not."""
    await wire.add_pool()
    await eventually(lambda: is_steady(wire))
    resized = await wire.post("/pools/p/resize", {"targetDedicatedNodes": 1})
    stopped = await wire.post("/pools/p/stopresize")
    assert stopped.headers["etag"] == resized.headers["etag"]
    assert (await wire.get("/pools/p"))["eTag"] == resized.headers["etag"]
