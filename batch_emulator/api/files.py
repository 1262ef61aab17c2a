"""Operations on the files of tasks and nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from batch_emulator import ticks
from batch_emulator.api.answers import plain
from batch_emulator.api.call import Call
from batch_emulator.api.conditions import check_conditions
from batch_emulator.api.fields import FILES, WINDOWS_FILES, Fields
from batch_emulator.api.listing import list_page, read_filter, start_key
from batch_emulator.api.odata import Filter
from batch_emulator.api.views.files import content_type, file_headers, render_file
from batch_emulator.catalogue.images import runs_windows
from batch_emulator.errors import BatchError
from batch_emulator.node import files as nodefiles
from batch_emulator.resources.model import Node
from batch_emulator.scheduler.launches import task_directory

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_BACKSLASH = re.compile(r"\\|%5c", re.IGNORECASE)
_RAN = ("running", "completed")
#: In these states of a node there is no machine, or nothing on it that could show its files.
_WITHOUT_FILES = frozenset(
    [
        "creating",
        "starting",
        "rebooting",
        "reimaging",
        "deallocating",
        "deallocated",
        "preempted",
        "unknown",
        "upgradingos",
    ]
)


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder whose files are asked for, of a node or of one of its tasks."""

    path: Path
    on_windows: bool

    def spell(self, name: str) -> str:
        """A name or URL with `/`: what clients ask of a Windows pool may have backslashes."""
        return _BACKSLASH.sub("/", name) if self.on_windows else name

    def fields(self, wanted: str) -> Fields:
        """What a filter sees of the files; one for Windows may have `/` or backslashes."""
        return WINDOWS_FILES if self.on_windows and "\\" in wanted else FILES


def _task_folder(call: Call) -> Folder:
    """The folder of a task on the node that ran it; TaskFilesUnavailable where there is none any more."""
    world = call.engine.world
    task = world.task(call.parameters["job"], call.parameters["task"])
    if task.state not in _RAN:
        raise BatchError("OperationInvalidForCurrentState")
    node = world.store.find_node(task.pool_key, task.node_id) if task.node_id else None
    root = call.engine.runner.node_root(node.id) if node and node.state not in _WITHOUT_FILES else None
    if node is None or root is None:
        raise BatchError("TaskFilesUnavailable", *_why_none(call))
    folder = root / task_directory(world.job(call.parameters["job"]), task)
    if not folder.is_dir():
        raise BatchError("TaskFilesCleanedup")
    return _below(call, node, folder)


def _node_folder(call: Call) -> Folder:
    node = call.engine.world.node(call.parameters["pool"], call.parameters["node"])
    root = call.engine.runner.node_root(node.id)
    if root is None or node.state in _WITHOUT_FILES:
        raise BatchError("NodeNotReady", *_why_none(call))
    return _below(call, node, root)


def _below(call: Call, node: Node, path: Path) -> Folder:
    return Folder(path, runs_windows(call.engine.world.pool(node.pool_key).spec))


def _why_none(call: Call) -> list[tuple[str, str]]:
    if call.engine.settings.simulate is None:
        return []
    return [("Reason", "Local Batch service: its nodes are simulated, and have no files")]


def _list(call: Call, folder: Folder) -> Response:
    recursive = (call.option("recursive") or "").lower() == "true"
    wanted = read_filter(call, folder.fields(call.option("$filter") or ""))
    within = "" if recursive else _find_folder(folder, wanted)
    numbered = enumerate(nodefiles.list_files(folder.path, within=within, recursive=recursive))
    after = start_key(call) or ""
    candidates = ((f"{number:09d}", file) for number, file in numbered)
    return list_page(
        call,
        "files",
        (each for each in candidates if each[0] > after),
        lambda file: render_file(file, call.url, on_windows=folder.on_windows),
        wanted,
    )


def _find_folder(folder: Folder, wanted: Filter | None) -> str:
    """The folder that a list which is not recursive is of: the one that the prefix in its filter names."""
    prefix = folder.spell(wanted.required_prefixes().get("name", "") if wanted else "")
    return prefix[: prefix.rfind("/") + 1]


def _get(call: Call, folder: Folder) -> Response:
    name = folder.spell(call.parameters["file"])
    file = nodefiles.stat(folder.path, name)
    headers = file_headers(file, folder.spell(call.url), on_windows=folder.on_windows)
    headers["Content-Type"] = content_type(file)
    modified = ticks.from_datetime(file.modified)
    check_conditions(call.headers, etag="", last_modified=modified, reading=True)
    if call.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(file.size_bytes)})
    first, size_bytes = _wanted_range(call, file.size_bytes)
    if size_bytes != file.size_bytes:
        headers["Content-Range"] = f"bytes {first}-{first + size_bytes - 1}/{file.size_bytes}"
    pieces = nodefiles.read_pieces(nodefiles.open_file(folder.path, name), first, size_bytes)
    # 200 for a part, too: the specification has no 206, and the clients take none.
    return StreamingResponse(pieces, 200, headers)


def _wanted_range(call: Call, size_bytes: int) -> tuple[int, int]:
    """First byte and number of bytes; the range is in `ocp-range` or `Range`, both ends included."""
    wanted = call.headers.get("ocp-range") or call.headers.get("range")
    if not wanted:
        return 0, size_bytes
    found = _RANGE.fullmatch(wanted.strip())
    if not found:
        raise BatchError("InvalidHeaderValue", ("HeaderName", "ocp-range"), ("HeaderValue", wanted))
    first, last = int(found[1]), int(found[2] or size_bytes - 1)
    if first >= size_bytes or last < first:
        raise BatchError("InvalidRange")
    return first, min(last, size_bytes - 1) - first + 1


def _delete(call: Call, folder: Folder) -> Response:
    recursive = (call.option("recursive") or "").lower() == "true"
    nodefiles.delete(folder.path, folder.spell(call.parameters["file"]), recursive=recursive)
    return plain(200)


def list_task_files(call: Call) -> Response:
    return _list(call, _task_folder(call))


def get_task_file(call: Call) -> Response:
    return _get(call, _task_folder(call))


def delete_task_file(call: Call) -> Response:
    return _delete(call, _task_folder(call))


def list_node_files(call: Call) -> Response:
    return _list(call, _node_folder(call))


def get_node_file(call: Call) -> Response:
    return _get(call, _node_folder(call))


def delete_node_file(call: Call) -> Response:
    return _delete(call, _node_folder(call))


_TASK_FILE = "/jobs/{job}/tasks/{task}/files/{file:path}"
_NODE_FILE = "/pools/{pool}/nodes/{node}/files/{file:path}"

ROUTES = [
    ("GET", "/jobs/{job}/tasks/{task}/files", list_task_files),
    ("GET", _TASK_FILE, get_task_file),
    ("HEAD", _TASK_FILE, get_task_file),
    ("DELETE", _TASK_FILE, delete_task_file),
    ("GET", "/pools/{pool}/nodes/{node}/files", list_node_files),
    ("GET", _NODE_FILE, get_node_file),
    ("HEAD", _NODE_FILE, get_node_file),
    ("DELETE", _NODE_FILE, delete_node_file),
]
