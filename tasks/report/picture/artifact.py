"""The picture of a run as a Prefect artifact: nodes over time with their Batch tasks."""

from base64 import b64encode
from datetime import timedelta

from tasks.observing import left_out_on_failure, publish_markdown
from tasks.spec.run_results import RunResult

PICTURE_KEY = "fan-out-timeline"


def publish_picture(result: RunResult) -> None:
    """Draw the run and publish it."""
    with left_out_on_failure("The picture of this run"):
        markdown = picture_markdown(result)
        if markdown:
            publish_markdown(markdown, PICTURE_KEY, "Nodes over time with their Batch tasks")


def picture_markdown(result: RunResult) -> str:
    """Markdown with the picture in it, as a data URI that needs no network; "" if no Batch task ran."""
    svg = draw_picture(result)
    if not svg:
        return ""
    uri = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return f"![{_build_title(result)}]({uri})"


def draw_picture(result: RunResult) -> str:
    """The picture as SVG; "" if no Batch task ran."""
    # Slow to load, and needed only at a run's end.
    from tasks.report.picture.drawing import draw
    from tasks.report.picture.timeline import build_spans

    spans = build_spans(result.files, result.started_at)
    return draw(spans, _build_title(result), f"run {result.run_key}") if spans else ""


def _build_title(result: RunResult) -> str:
    """How many files, what became of them, and how long it took."""
    total = len(result.files)
    files = f"{total:,} file{'' if total == 1 else 's'}"
    elapsed = timedelta(seconds=round(result.elapsed_seconds))
    return f"{files}, {result.tally} in {elapsed}"
