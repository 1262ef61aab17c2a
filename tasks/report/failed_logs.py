"""What the programs of failed files have printed, as Prefect artifacts.

The logs lie beside the outputs, on the machine that ran the flow. Whoever looks at the dashboard may sit at
another one, so the table of files links to these.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

from tasks.azure.node_logs import as_readable
from tasks.base.printable import Markup, make_code, make_plain, say_count
from tasks.prefect.observing import publish_markdown
from tasks.report.node_words import shorten_node_paths
from tasks.sharding import split
from tasks.spec.blob_places import is_place
from tasks.spec.file_results import FileResult
from tasks.spec.naming import LOGS
from tasks.spec.run_results import RunResult

LOGS_KEY = "fan-out-logs"
# Each is a row of the server's database, and a card on the page of the run: of a few files each has its own.
ALONE_MAX = 3
FILES_TOGETHER = 10
ARTIFACTS_MAX = 10
ARTIFACT_BYTES_MAX = 400_000
# As large as what the summary has: of fifty files it is no longer the names that fill the page.
HEADING = "##"


@dataclass(frozen=True)
class LogPage:
    """An artifact with the logs of some files, as a page of Prefect's dashboard."""

    artifact_id: UUID
    names: Sequence[str]
    files: str
    """From which file to which."""

    description: str

    def link(self, text: str) -> Markup:
        """In Markdown, within the dashboard: nobody here knows under which address one looks at it."""
        return Markup(f"[{text}](/artifacts/artifact/{self.artifact_id})")


def publish_logs(result: RunResult, files: Sequence[FileResult]) -> list[LogPage]:
    """Publish what those of the files that failed have printed, as far as the server takes it."""
    failed = [file for file in files if file.state == "failed" and has_log(result, file)]
    parts = split(failed, max(1, -(-len(failed) // count_pages(len(failed)))))
    return [page for part in parts if (page := _publish_page(result, part)) is not None]


def count_pages(failed: int) -> int:
    """How many artifacts the logs of so many failed files make."""
    return max(1, failed if failed <= ALONE_MAX else min(ARTIFACTS_MAX, -(-failed // FILES_TOGETHER)))


def _publish_page(result: RunResult, files: Sequence[FileResult]) -> LogPage | None:
    description = _describe_logs(files)
    names = [file.name for file in files]
    artifact_id = publish_markdown(write_logs(result, files), LOGS_KEY, description)
    return LogPage(artifact_id, names, _name_range(files), description) if artifact_id else None


def _describe_logs(files: Sequence[FileResult]) -> str:
    if len(files) == 1:
        return f"What {files[0].name} printed"
    return f"What {_name_range(files)} printed: {say_count(len(files), 'failed file')}"


def _name_range(files: Sequence[FileResult]) -> str:
    first, last = files[0].name, files[-1].name
    return first if len(files) == 1 else f"{first} to {last}"


def link_logs(pages: Sequence[LogPage], failed: int) -> list[str]:
    """A line of Markdown with a link to each page; of more files than have one, how many have."""
    if len(pages) == 1 and len(pages[0].names) == failed:
        return [f"{make_plain(pages[0].description)}: {pages[0].link('log')}"]
    linked = sum(len(page.names) for page in pages)
    those = f"the first {linked:,}" if linked < failed else "the failed files"
    links = ", ".join(page.link(make_plain(page.files)) for page in pages)
    return [f"Logs of {those}: {links}"] if pages else []


def write_logs(result: RunResult, files: Sequence[FileResult]) -> str:
    """What each file printed on both streams, as Markdown: whole where it fits, of the longest the end."""
    if is_place(result.logs_dir):
        return "\n\n".join(_write_remote(result, file) for file in files)
    paths = [Path(locate_log(result, file.name, log)) for file in files for log in LOGS]
    most = share_bytes([_measure(path) for path in paths], ARTIFACT_BYTES_MAX)
    sections = []
    for file in files:
        logs = [_write_log(Path(locate_log(result, file.name, log)), log, most) for log in reversed(LOGS)]
        said = make_plain(file.problem) + ("" if any(logs) else "; it printed nothing")
        sections += [f"{HEADING} {make_plain(file.name)}", said, *filter(None, logs)]
    return "\n\n".join(sections)


def _write_remote(result: RunResult, file: FileResult) -> str:
    """Of logs that are in blob storage the end that was read, and where all of them is."""
    text = shorten_node_paths(file.stderr)
    lines = [
        f"{HEADING} {make_plain(file.name)}",
        make_plain(file.problem),
        f"**stderr**, its end:\n\n{_fence(text)}",
    ]
    places = ", ".join(f"{make_code(locate_log(result, file.name, log))}" for log in LOGS)
    return "\n\n".join([*lines, f"All of it is in {places}"])


def locate_log(result: RunResult, name: str, log: str) -> str:
    """Where a log of an input lies, if it was kept: a path, or a URL."""
    return f"{result.logs_dir}/{quote(name, safe='/~') if is_place(result.logs_dir) else name}/{log}"


def has_log(result: RunResult, file: FileResult) -> bool:
    """Whether there is any to show; of a run that was cancelled just now they may come with its clean-up."""
    return is_place(result.logs_dir) or any(
        Path(locate_log(result, file.name, log)).is_file() for log in LOGS
    )


def share_bytes(sizes: Sequence[int], total: int) -> int:
    """How much of each may be taken so that all together come to no more than `total`: what the small ones
    leave, the large ones have."""
    for taken, size in enumerate(sorted(sizes)):
        fair = total // (len(sizes) - taken)
        if size > fair:
            return fair
        total -= size
    return max(sizes, default=0)


def _write_log(path: Path, log: str, most_bytes: int) -> str:
    size, stream = _measure(path), log.removesuffix(".txt")
    text = shorten_node_paths(read_end(path, most_bytes))
    if not text:
        return ""
    whole = f", its last {most_bytes:,} of {size:,} bytes; all of it is in {make_code(str(path))}"
    cut = whole if size > most_bytes else ""
    return f"**{stream}**{cut}\n\n{_fence(text)}"


def _fence(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def read_end(path: Path, most_bytes: int) -> str:
    """The end of a log that was kept, fit to be shown; "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most_bytes))
            return as_readable(file.read(most_bytes))
    except OSError:
        return ""
