"""The picture of a run as a Prefect artifact: nodes over time with their Batch tasks."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta

from tasks.errors import FanOutError
from tasks.logs import run_logger
from tasks.prefect.observing import left_out_on_failure, publish_markdown
from tasks.report.picture.drawing import draw
from tasks.report.picture.node_starts import NodeStart, list_node_starts
from tasks.report.picture.phases import build_phases
from tasks.report.picture.timeline import build_spans_since, find_begin, has_run
from tasks.spec.run_results import RunResult

PICTURE_KEY = "fan-out-timeline"


def publish_picture(result: RunResult) -> None:
    """Draw the run and publish it."""
    with left_out_on_failure("The picture of this run"):
        markdown = picture_markdown(result, _find_node_starts(result))
        if markdown:
            publish_markdown(markdown, PICTURE_KEY, "Nodes over time with their Batch tasks")


def _find_node_starts(result: RunResult) -> list[NodeStart]:
    """None of a pool that is gone, or of a service that doesn't answer now: the picture goes without."""
    if not result.pool_id:
        return []
    try:
        return list_node_starts(result.pool_id)
    except FanOutError as error:
        run_logger().debug("How the nodes started is not known: %s", error)
        return []


def picture_markdown(result: RunResult, starts: Sequence[NodeStart] = ()) -> str:
    """Markdown with the picture in it, as a data URI that needs no network; "" if no Batch task ran."""
    svg = draw_picture(result, starts)
    if not svg:
        return ""
    uri = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return f"![{_build_title(result)}]({uri})"


def draw_picture(result: RunResult, starts: Sequence[NodeStart] = ()) -> str:
    """The picture as SVG; "" if no Batch task ran."""
    began_at = find_begin(result.files.with_tasks, result.started_at)
    if began_at is None:
        return ""
    spans = build_spans_since(result.files.with_tasks, began_at)
    left_out = sum(file.state == "unfinished" and not has_run(file) for file in result.failures)
    phases = build_phases(result, spans, starts, began_at)
    return draw(spans, _build_title(result), f"run {result.run_key}", phases, result.bundles, left_out)


def _build_title(result: RunResult) -> str:
    """How many files, what became of them, and how long it took."""
    total = len(result.files)
    files = f"{total:,} file{'' if total == 1 else 's'}"
    elapsed = timedelta(seconds=round(result.elapsed_seconds))
    return f"{files}, {result.tally} in {elapsed}"
