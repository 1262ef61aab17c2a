"""What a run tells at its end: in the log, as Prefect artifacts, and to the flow that called it."""

from collections.abc import Sequence
from datetime import timedelta

from tasks import listeners
from tasks.azure.accounts import current_accounts
from tasks.azure.portal_links import portal_links
from tasks.logs import run_logger
from tasks.observing import left_out_on_failure, publish_markdown
from tasks.report.files_table import FILES_KEY, publish_files
from tasks.report.picture.artifact import publish_picture
from tasks.spec.run_results import FileResult, RunResult

SUMMARY_KEY = "fan-out-summary"
FAILURES_IN_MESSAGE = 10


def describe_failures(failures: list[FileResult], total: int) -> str:
    """A message with the name, the reason and the end of the standard error of the first failures."""
    lines = [f"{len(failures)} of {total} files failed; the outputs of the others are there."]
    for file in failures[:FAILURES_IN_MESSAGE]:
        lines.append(f"{file.name}: {file.problem}")
        lines += [f"    {line}" for line in file.stderr.splitlines()]
    if len(failures) > FAILURES_IN_MESSAGE:
        lines.append(f"... and {len(failures) - FAILURES_IN_MESSAGE} more, in the artifact {FILES_KEY}")
    return "\n".join(lines)


def publish_result(result: RunResult) -> None:
    """Write the summary to the log and to Prefect's artifacts, and tell who listens."""
    listeners.notify(result)
    for line in summary_lines(result):
        run_logger().info("%s", line)
    with left_out_on_failure("What the dashboard shows of this run"):
        markdown = summary_markdown(result, portal_links(current_accounts(), result.run_key))
        publish_markdown(markdown, SUMMARY_KEY, "What became of the run")
        publish_files(result)
        publish_picture(result)


def summary_lines(result: RunResult) -> list[str]:
    elapsed = timedelta(seconds=round(result.elapsed_seconds))
    made = [f"Job: {result.job_id}", f"Pool: {result.pool_id}"] if result.job_id else []
    return [
        f"Files: {len(result.files)}, {result.tally}",
        f"Outputs: {len(result.outputs)} in {result.output_dir}",
        *made,
        f"Elapsed time: {elapsed}",
    ]


def summary_markdown(result: RunResult, links: Sequence[str] = ()) -> str:
    """The summary as Markdown, with links to what the run has made."""
    lines = ["# Summary", "", *(f"- {line}" for line in summary_lines(result))]
    lines += [f"- In the portal: {link}" for link in links]
    if result.failures:
        message = describe_failures(result.failures, len(result.files))
        lines += ["", "## Failed files", "", *(f"    {line}" for line in message.splitlines())]
    return "\n".join(lines)
