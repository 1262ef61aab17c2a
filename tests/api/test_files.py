"""Files of tasks and nodes: headers, ranges and listings as recorded."""

from __future__ import annotations

import pytest

from tests.api.wire import URL, Wire, error, eventually

STDOUT = "/jobs/j/tasks/t/files/stdout.txt"


@pytest.fixture
async def ran(wire: Wire) -> Wire:
    """A task `t` of job `j` that has printed ten digits."""
    await wire.add_pool(targetDedicatedNodes=1)
    await wire.add_job()
    await wire.add_task(commandLine="/bin/sh -c 'printf 0123456789; echo x > \"a b.bin\"'")

    async def completed() -> bool:
        return (await wire.get("/jobs/j/tasks/t"))["state"] == "completed"

    await eventually(completed)
    return wire


WINDOWS = {
    "imageReference": {
        "publisher": "MicrosoftWindowsServer",
        "offer": "WindowsServer",
        "sku": "2019-datacenter-smalldisk",
    },
    "nodeAgentSKUId": "batch.node.windows amd64",
}


async def test_files_of_a_windows_pool_are_told_and_asked_for_as_there(wire: Wire) -> None:
    """They have a time of creation and no mode, and their names may be written with backslashes."""
    await wire.add_pool(targetDedicatedNodes=1, virtualMachineConfiguration=WINDOWS)
    await wire.add_job()
    await wire.add_task(commandLine="/bin/echo there")

    async def completed() -> bool:
        return (await wire.get("/jobs/j/tasks/t"))["state"] == "completed"

    await eventually(completed)
    node = (await wire.get("/pools/p/nodes"))["value"][0]["id"]
    name = f"/pools/p/nodes/{node}/files/workitems%5Cj%5Cjob-1%5Ct%5Cstdout.txt"
    answer = await wire.send("GET", name)
    assert (answer.status_code, answer.content) == (200, b"there\n")
    assert answer.headers["ocp-batch-file-url"].endswith("workitems%2Fj%2Fjob-1%2Ft%2Fstdout.txt")
    assert "ocp-creation-time" in answer.headers
    assert "ocp-batch-file-mode" not in answer.headers
    listed = (await wire.get("/jobs/j/tasks/t/files"))["value"][1]["properties"]
    assert list(listed) == ["creationTime", "lastModified", "contentLength", "contentType"]
    assert (await wire.send("DELETE", name)).status_code == 200
    assert (await wire.send("GET", name)).status_code == 404


async def test_files_of_a_windows_pool_are_listed_with_backslashes(wire: Wire) -> None:
    """In names and in URLs; a prefix may have them, too. There is no `startup/wd` without a start
    task, as recorded."""
    await wire.add_pool(targetDedicatedNodes=1, virtualMachineConfiguration=WINDOWS)
    node = f"/pools/p/nodes/{await wire.idle_node()}/files"
    listed = (await wire.get(node, query={"recursive": "true"}))["value"]
    names = ["applications", "fsmounts", "shared", "startup", "volatile", "workitems", "volatile\\startup"]
    assert [each["name"] for each in listed] == names
    assert listed[-1]["url"] == f"{URL}{node}/volatile\\startup"
    query = {"$filter": "startswith(name, 'volatile\\')"}
    assert (await wire.get(node, query=query))["value"] == listed[-1:]


async def test_task_has_a_folder_for_certificates_on_linux_alone(ran: Wire) -> None:
    """As recorded, it is empty, and there without certificates."""
    listed = (await ran.get("/jobs/j/tasks/t/files"))["value"]
    assert [each["name"] for each in listed] == ["certs", "stderr.txt", "stdout.txt", "wd"]
    await ran.add_pool(id="q", targetDedicatedNodes=1, virtualMachineConfiguration=WINDOWS)
    await ran.add_job(id="k", poolInfo={"poolId": "q"})
    await ran.post("/jobs/k/tasks", {"id": "t", "commandLine": "env"})

    async def completed() -> bool:
        return (await ran.get("/jobs/k/tasks/t"))["state"] == "completed"

    await eventually(completed)
    listed = (await ran.get("/jobs/k/tasks/t/files"))["value"]
    assert [each["name"] for each in listed] == ["stderr.txt", "stdout.txt", "wd"]
    printed = await ran.send("GET", "/jobs/k/tasks/t/files/stdout.txt")
    assert "AZ_BATCH_TASK_DIR" in printed.text
    assert "AZ_BATCH_CERTIFICATES_DIR" not in printed.text


@pytest.mark.parametrize(
    ("prefix", "recursive", "found"),
    [
        ("wd", "false", ["wd"]),
        ("wd/", "false", ["wd/a b.bin"]),
        ("wd/a", "false", ["wd/a b.bin"]),
        ("wd", "true", ["wd", "wd/a b.bin"]),
        ("../", "false", []),
    ],
)
async def test_list_goes_into_the_folder_that_a_prefix_names(
    ran: Wire, prefix: str, recursive: str, found: list[str]
) -> None:
    """Azure PowerShell asks for `wd` and gets the folder, Batch Explorer for `wd/` and gets its files."""
    query = {"recursive": recursive, "$filter": f"startswith(name, '{prefix}')"}
    listed = await ran.get("/jobs/j/tasks/t/files", query=query)
    assert [file["name"] for file in listed["value"]] == found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_file_has_its_properties_in_headers(ran: Wire, method: str) -> None:
    """A file is answered with its URL percent-encoded, its kind, its mode and its type."""
    answer = await ran.send(method, STDOUT)
    assert answer.headers["ocp-batch-file-url"] == (URL + STDOUT).replace(":", "%3A").replace("/", "%2F")
    assert answer.headers["ocp-batch-file-isdirectory"] == "False"
    assert answer.headers["ocp-batch-file-mode"].startswith("0o100")
    assert answer.headers["content-type"] == "text/plain"
    assert "ocp-creation-time" not in answer.headers
    assert "last-modified" in answer.headers


async def test_head_of_a_file_tells_its_length(ran: Wire) -> None:
    """HEAD answers the length and no content."""
    answer = await ran.send("HEAD", STDOUT)
    assert (answer.headers["content-length"], answer.content) == ("10", b"")


@pytest.mark.parametrize(("wanted", "expected"), [("bytes=2-4", b"234"), ("bytes=7-", b"789")])
async def test_part_of_a_file_is_asked_for_by_ocp_range(ran: Wire, wanted: str, expected: bytes) -> None:
    """`ocp-range` brings the bytes between its ends, both included."""
    answer = await ran.send("GET", STDOUT, headers={"ocp-range": wanted})
    assert answer.content == expected


async def test_range_beyond_the_end_is_416(ran: Wire) -> None:
    """A range that begins after the file's end cannot be answered."""
    answer = await ran.send("GET", STDOUT, headers={"ocp-range": "bytes=100-200"})
    assert error(answer)[:2] == (416, "InvalidRange")


async def test_listed_file_has_its_length_as_text(ran: Wire) -> None:
    """A listed file has its properties, the length as text; a folder has none."""
    files = {each["name"]: each for each in (await ran.get("/jobs/j/tasks/t/files"))["value"]}
    assert list(files["stdout.txt"]) == ["name", "url", "isDirectory", "properties"]
    properties = files["stdout.txt"]["properties"]
    assert list(properties) == ["lastModified", "contentLength", "contentType", "fileMode"]
    assert (properties["contentLength"], properties["contentType"]) == ("10", "text/plain")
    assert list(files["wd"]) == ["name", "url", "isDirectory"]
    assert files["wd"]["isDirectory"] is True


async def test_names_in_urls_are_encoded(ran: Wire) -> None:
    """A file whose name has a space is listed with an encoded URL, under which it is read."""
    listed = await ran.get("/jobs/j/tasks/t/files", query={"recursive": "true"})
    (file,) = (each for each in listed["value"] if each["name"] == "wd/a b.bin")
    assert file["url"] == f"{URL}/jobs/j/tasks/t/files/wd/a%20b.bin"
    assert (await ran.send("GET", file["url"].removeprefix(URL))).content == b"x\n"


async def test_node_lists_its_top_folders(ran: Wire) -> None:
    """A node has the service's folders, by name."""
    node = await ran.idle_node()
    files = (await ran.get(f"/pools/p/nodes/{node}/files"))["value"]
    folders = [each["name"] for each in files]
    assert folders == ["applications", "fsmounts", "shared", "startup", "volatile", "workitems"]


async def test_recursive_list_goes_level_by_level(ran: Wire) -> None:
    """A recursive list has all of a level before what is below it."""
    node = await ran.idle_node()
    listed = await ran.get(f"/pools/p/nodes/{node}/files", query={"recursive": "true"})
    depths = [each["name"].count("/") for each in listed["value"]]
    assert depths == sorted(depths)
    assert depths[-1] >= 4


async def test_deleted_file_is_gone(ran: Wire) -> None:
    """Delete File answers 200 without a body; then the file is 404, without a body for HEAD."""
    answer = await ran.send("DELETE", STDOUT)
    assert (answer.status_code, answer.content) == (200, b"")
    assert error(await ran.send("GET", STDOUT))[:2] == (404, "FileNotFound")
    head = await ran.send("HEAD", STDOUT)
    assert (head.status_code, head.content) == (404, b"")
