"""A file or folder of a node as JSON, and as headers."""

from __future__ import annotations

from urllib.parse import quote

from batch_emulator import ticks
from batch_emulator.node.files import NodeFile
from batch_emulator.resources.model import Wire

#: What URLs of files have between folders, as it is.
_SEPARATORS = "/\\"


def render_file(file: NodeFile, files_url: str, *, on_windows: bool) -> Wire:
    """A file, as the list operations answer it; sizes are strings, as recorded. On Windows files have a time
    of creation and backslashes, on Linux a mode."""
    name = file.name.replace("/", "\\") if on_windows else file.name
    wire: Wire = {
        "name": name,
        "url": f"{files_url}/{quote(name, safe=_SEPARATORS)}",
        "isDirectory": file.is_directory,
    }
    if not file.is_directory:
        properties = {
            "lastModified": ticks.format_ticks(ticks.from_datetime(file.modified)),
            "contentLength": str(file.size_bytes),
            "contentType": content_type(file),
        }
        if on_windows:
            created = ticks.format_ticks(ticks.from_datetime(file.created))
            wire["properties"] = {"creationTime": created} | properties
        else:
            wire["properties"] = properties | {"fileMode": f"0o{file.mode:o}"}
    return wire


def file_headers(file: NodeFile, url: str, *, on_windows: bool) -> dict[str, str]:
    """The headers that stand for a file's properties."""
    headers = {
        "Last-Modified": ticks.http_date(ticks.from_datetime(file.modified)),
        "ocp-batch-file-isdirectory": str(file.is_directory),
        "ocp-batch-file-url": quote(url, safe=""),
    }
    if on_windows:
        return headers | {"ocp-creation-time": ticks.http_date(ticks.from_datetime(file.created))}
    return headers | {"ocp-batch-file-mode": f"0o{file.mode:o}"}


def content_type(file: NodeFile) -> str:
    """`text/plain` for `.txt`, otherwise bytes, as on Linux nodes."""
    return "text/plain" if file.name.endswith(".txt") else "application/octet-stream"
