"""Runs to draw, and what their pictures show."""

from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

from tasks.report.picture.timeline import (
    Span,
)
from tasks.spec.file_results import FileResult, TaskResult
from tasks.spec.packed_results import FileResults
from tasks.spec.run_results import RunResult

SVG = "{http://www.w3.org/2000/svg}"
NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def file_result(
    name: str, start: float, seconds: float | None, node: str = "node-1", problem: str = ""
) -> FileResult:
    ended_at = NOON + timedelta(seconds=start + (seconds or 0))
    task = TaskResult(name, ended_at, 1 if problem else 0, node, seconds)
    return FileResult(name, task, None if problem else f"out/{name}", problem)


def run_result(*files: FileResult) -> RunResult:
    return RunResult("key-1", "job", "pool", "out", 83.4, FileResults(files))


def spans(*times: tuple[float, float], node: str = "node-1") -> list[Span]:
    return [Span(f"{start}-{end}", node, start, end, True) for start, end in sorted(times)]


def elements(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> set[str]:
    return {element.text or "" for element in elements(svg).iter(f"{SVG}text")}
