"""Lists: order, pages, filters and selections as the service answers them."""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.api.wire import NEWEST, URL, Wire, error, eventually


async def ids(wire: Wire, path: str, **query: str) -> list[str]:
    return [each["id"] for each in (await wire.get(path, query=query))["value"]]


async def test_lists_are_ordered_by_id(wire: Wire) -> None:
    """A list is in order of id, also against the order of creation."""
    for name in ("b", "c", "a"):
        await wire.add_job(name)
    assert await ids(wire, "/jobs") == ["a", "b", "c"]


async def test_jobs_that_have_ended_are_listed_last(wire: Wire) -> None:
    """As recorded, and over pages too; among themselves they are in order of id."""
    for name in ("a", "b", "c", "d"):
        await wire.add_job(name)
    for name in ("a", "c"):
        await wire.post(f"/jobs/{name}/terminate")
        await eventually(lambda: _has_ended(wire, name))  # noqa: B023
    assert await ids(wire, "/jobs") == ["b", "d", "a", "c"]
    assert [await _nth(wire, number) for number in range(4)] == ["b", "d", "a", "c"]


async def _has_ended(wire: Wire, name: str) -> bool:
    return (await wire.get(f"/jobs/{name}"))["state"] == "completed"


async def _nth(wire: Wire, number: int) -> str:
    """The only job of a page behind so many pages."""
    query = {"maxresults": "1"}
    body = await wire.get("/jobs", query=query)
    for _ in range(number):
        link = dict(parse_qsl(urlsplit(body["odata.nextLink"]).query))
        body = await wire.get("/jobs", query=query | {"$skiptoken": link["$skiptoken"]})
    return body["value"][0]["id"]


async def test_a_job_that_completes_between_two_pages_is_listed_once(wire: Wire) -> None:
    """It stays where it was when the first page was asked for, before that page or behind it."""
    for name in ("a", "b", "c", "d"):
        await wire.add_job(name)
    await wire.post("/jobs/a/terminate")
    await eventually(lambda: _has_ended(wire, "a"))
    query, found = {"maxresults": "1"}, []
    while True:
        body = await wire.get("/jobs", query=query)
        found += [job["id"] for job in body["value"]]
        if "odata.nextLink" not in body:
            break
        query |= {"$skiptoken": dict(parse_qsl(urlsplit(body["odata.nextLink"]).query))["$skiptoken"]}
        if found == ["b"]:
            for name in ("b", "c"):
                await wire.post(f"/jobs/{name}/terminate")
                await eventually(partial(_has_ended, wire, name))
    assert found == ["b", "c", "d", "a"]
    assert await ids(wire, "/jobs") == ["d", "a", "b", "c"]


async def test_some_properties_are_told_unselected(wire: Wire) -> None:
    """As recorded: what a node's machine is, and how a pool is upgraded if it says so."""
    await wire.add_pool(targetDedicatedNodes=1, upgradePolicy={"mode": "manual"})
    await eventually(lambda: ids(wire, "/pools/p/nodes"))
    query = {"$select": "id"}
    assert [set(each) for each in (await wire.get("/pools", query=query))["value"]] == [
        {"id", "upgradePolicy"}
    ]
    nodes = (await wire.get("/pools/p/nodes", query=query))["value"]
    assert [set(each) for each in nodes] == [{"id", "virtualMachineInfo"}]


async def test_pages_follow_one_another(wire: Wire) -> None:
    """Each page links to the next by the same URL and a token, which is to be sent as it is."""
    for name in ("a", "b", "c"):
        await wire.add_job(name)
    query = {"maxresults": "1", "$filter": "state eq 'active'"}
    found, pages = [], 0
    while True:
        body = await wire.get("/jobs", query=query)
        found += [job["id"] for job in body["value"]]
        pages += 1
        if "odata.nextLink" not in body:
            break
        link = body["odata.nextLink"]
        assert link.startswith(f"{URL}/jobs?api-version={NEWEST}&maxresults=1&$filter=")
        assert "&$skiptoken=WATV2:" in link
        query = {k: v for k, v in parse_qsl(urlsplit(link).query) if k != "api-version"}
    assert (found, pages) == (["a", "b", "c"], 3)


async def test_last_page_has_no_link(wire: Wire) -> None:
    """A list that fits into a page does not link to another."""
    await wire.add_job()
    assert "odata.nextLink" not in await wire.get("/jobs", query={"maxresults": "1"})


async def test_page_has_at_least_one_item(wire: Wire) -> None:
    """A negative page size is refused with the parameter, its value and the reason."""
    answer = await wire.send("GET", "/pools", query={"maxresults": "-5"})
    assert error(answer) == (
        400,
        "InvalidQueryParameterValue",
        {
            "QueryParameterName": "maxresults",
            "QueryParameterValue": "-5",
            "Reason": "MaxResults cannot be less than 1",
        },
    )


@pytest.mark.parametrize("select", ["id,state", "id, state"])
async def test_selection_leaves_only_what_is_asked_for(wire: Wire, select: str) -> None:
    """`$select` answers the named properties; the metadata stays."""
    await wire.add_job()
    body = await wire.get("/jobs/j", query={"$select": select})
    assert set(body) == {"odata.metadata", "id", "state"}
    assert list((await wire.get("/jobs", query={"$select": select}))["value"][0]) == ["id", "state"]


async def test_statistics_are_selected_as_others_are(wire: Wire) -> None:
    """Of a resource that is to be expanded only what is selected is told."""
    await wire.add_pool()
    body = await wire.get("/pools/p", query={"$select": "id,state", "$expand": "stats"})
    assert set(body) == {"odata.metadata", "id", "state"}


async def test_filter_finds_by_state_and_id(wire: Wire) -> None:
    """A filter joins comparisons and functions; the order stays."""
    for name in ("a1", "a2", "b1"):
        await wire.add_job(name)
    await wire.send("POST", "/jobs/a2/terminate", {})
    wanted = "state eq 'active' and startswith(id,'a')"
    assert await ids(wire, "/jobs", **{"$filter": wanted}) == ["a1"]


async def test_filter_that_makes_no_sense_is_refused(wire: Wire) -> None:
    """A bad filter is 400 and names the parameter."""
    status, code, values = error(await wire.send("GET", "/jobs", query={"$filter": "nonsense"}))
    assert (status, code, values["QueryParameterName"]) == (400, "InvalidQueryParameterValue", "$filter")


async def test_supported_images_are_in_pages_too(wire: Wire) -> None:
    """The list of images is a list like any other: filtered and in pages."""
    query = {"$filter": "osType eq 'windows'", "maxresults": "2"}
    body = await wire.get("/supportedimages", query=query)
    assert len(body["value"]) == 2
    assert {image["osType"] for image in body["value"]} == {"windows"}
    assert "odata.nextLink" in body
    assert list(body["value"][0])[:3] == ["imageReference", "verificationType", "nodeAgentSKUId"]


async def test_statistics_of_a_job_and_its_tasks(wire: Wire) -> None:
    """`$expand=stats` counts ends, retries and times of pools, jobs, tasks and schedules."""
    await wire.add_pool()
    await wire.add_job()
    await wire.post("/jobs/j/tasks", {"id": "t", "commandLine": "true"})
    schedule = {"id": "s", "schedule": {}, "jobSpecification": {"poolInfo": {"poolId": "p"}}}
    await wire.post("/jobschedules", schedule)
    wanted = {"$expand": "stats"}
    for path in ("/pools/p", "/jobs/j", "/jobs/j/tasks/t", "/jobschedules/s"):
        of_one = (await wire.get(path, query=wanted))["stats"]
        listed = (await wire.get(path.rpartition("/")[0], query=wanted))["value"]
        assert listed[0]["stats"].keys() == of_one.keys()
        assert "stats" not in await wire.get(path)
    stats = (await wire.get("/jobs/j", query=wanted))["stats"]
    assert (stats["numSucceededTasks"], stats["numFailedTasks"], stats["numTaskRetries"]) == ("0", "0", "0")
    assert (stats["userCPUTime"], stats["kernelCPUTime"], stats["readIOGiB"]) == ("PT0S", "PT0S", 0)
    machine = (await wire.get("/pools/p", query=wanted))["stats"]["resourceStats"]
    assert (machine["avgMemoryGiB"], machine["diskReadGiB"], machine["networkReadGiB"]) == (0, 0, 0)
