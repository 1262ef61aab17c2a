"""What a run tells at its end: in the log, as Prefect artifacts, and to the flow that called it."""

import os
import textwrap
from collections.abc import Sequence
from datetime import timedelta

from tasks.azure.accounts import current_accounts
from tasks.azure.portal_links import portal_links
from tasks.base import listeners
from tasks.base.printable import make_plain
from tasks.logs import run_logger
from tasks.prefect.observing import left_out_on_failure, publish_markdown
from tasks.report.failed_logs import link_logs, publish_logs
from tasks.report.files_table import FILES_KEY, by_interest, publish_files
from tasks.report.node_words import shorten_node_id, shorten_node_paths
from tasks.report.picture.artifact import publish_picture
from tasks.spec.file_results import FileResult
from tasks.spec.naming import EARLIER_FOLDER
from tasks.spec.run_results import RunResult

SUMMARY_KEY = "fan-out-summary"
FAILURES_IN_MESSAGE = 10
# Of files that have failed in the same way.
NAMES_ALIKE = 3
# A name as short as this may be in a text for something else.
NUMBER_CHARACTERS_MAX = 3
# What the narrower of Prefect's UIs shows of a block without scrolling, in a window of 1,400 pixels.
BLOCK_COLUMNS = 76


def describe_failures(result: RunResult) -> str:
    """A message with the name, the reason and the end of the standard error of the first that failed."""
    failures = [file for file in result.failures if file.state == "failed"]
    lines = [_say_how_many(len(failures), result.counts["unfinished"], len(result.files))]
    groups = _group_alike(failures)
    for alike in groups[:FAILURES_IN_MESSAGE]:
        lines += _describe_alike(alike)
    if left := sum(map(len, groups[FAILURES_IN_MESSAGE:])):
        lines.append(f"... and {left:,} more, in the artifact {FILES_KEY}")
    return "\n".join(lines)


def _group_alike(failures: Sequence[FileResult]) -> list[list[FileResult]]:
    """The failed files, those together of which there is the same to tell, but for their names."""
    groups: dict[tuple[str, str], list[FileResult]] = {}
    for file in failures:
        said = shorten_node_paths(file.stderr)
        if len(file.name) > NUMBER_CHARACTERS_MAX:
            said = said.replace(file.name, "\0")
        groups.setdefault((file.problem, said), []).append(file)
    return list(groups.values())


def _describe_alike(files: Sequence[FileResult]) -> list[str]:
    first, *others = files
    lines = [f"{first.name}: {first.problem}"]
    lines += [f"    {line}" for line in shorten_node_paths(first.stderr).splitlines()]
    if others:
        names = ", ".join(file.name for file in others[:NAMES_ALIKE])
        more = f" and {len(others) - NAMES_ALIKE:,} more" if len(others) > NAMES_ALIKE else ""
        lines.append(f"{names}{more}: the same")
    return lines


def _say_how_many(failed: int, unfinished: int, total: int) -> str:
    if failed == total:
        return "The only file failed." if total == 1 else f"All {total:,} files failed."
    left = f", {unfinished:,} {'is' if unfinished == 1 else 'are'} unfinished" if unfinished else ""
    others = "; the outputs of the others are there" if failed + unfinished < total else ""
    return f"{failed:,} of {total:,} files failed{left}{others}."


def publish_result(result: RunResult) -> None:
    """Write the summary to the log and to Prefect's artifacts, and tell who listens."""
    listeners.notify(result)
    for line in summary_lines(result):
        run_logger().info("%s", line)
    with left_out_on_failure("What the dashboard shows of this run"):
        shown = by_interest(result.files)
        logs = publish_logs(result, shown)
        links = [f"In the portal: {link}" for link in portal_links(current_accounts(), result.run_key)]
        links += link_logs(logs, result.counts["failed"])
        publish_markdown(summary_markdown(result, links), SUMMARY_KEY, "What became of the run")
        publish_files(result, shown, logs)
        publish_picture(result)


def summary_lines(result: RunResult) -> list[str]:
    return [
        f"Files: {len(result.files):,}, {result.tally}",
        *([f"Ended early: {result.ended_early.splitlines()[0]}"] if result.ended_early else []),
        f"Outputs: {result.files.output_count:,} in {result.output_dir}",
        *([f"What the failed ones printed: {result.logs_dir}"] if result.counts["failed"] else []),
        *_describe_set_aside(result),
        f"Command: {result.command}",
        f"Run key: {result.run_key}",
        *_describe_made(result),
        *_describe_times(result),
        *_describe_next_run(result),
    ]


def _describe_set_aside(result: RunResult) -> list[str]:
    if not result.set_aside:
        return []
    folder = os.path.join(result.output_dir, EARLIER_FOLDER)
    return [
        f"Set aside: {len(result.set_aside):,} of earlier runs whose files failed now, {result.set_aside[0]} "
        f"first, in {folder}"
    ]


def _describe_made(result: RunResult) -> list[str]:
    nodes = f" ({result.nodes})" if result.nodes else ""
    if not result.job_id:
        return []
    cost = [f"Nodes: {result.spent} until the end of the run"] if result.spent else []
    return [f"Job: {result.job_id}", f"Pool: {result.pool_id}{nodes}", *cost]


def _describe_times(result: RunResult) -> list[str]:
    times = (("Start", result.started_at), ("End", result.ended_at))
    lines = [f"{word}: {at:%Y-%m-%d %H:%M:%S} UTC" for word, at in times if at is not None]
    return [*lines, f"Elapsed time: {timedelta(seconds=round(result.elapsed_seconds))}"]


def _describe_next_run(result: RunResult) -> list[str]:
    """What running again comes to, of a run that has not made all outputs."""
    left, counts = len(result.failures), result.counts
    if left in (0, len(result.files)):
        return ["Run again: all files run"] if left else []
    kinds = " and ".join(f"{counts[state]:,} {state}" for state in ("failed", "unfinished") if counts[state])
    return [f"Run again: only the {kinds} {'file runs' if left == 1 else 'files run'}"]


def summary_markdown(result: RunResult, links: Sequence[str] = ()) -> str:
    """The summary as Markdown, with links to what the run has made and its programs have printed."""
    lines = ["# Summary", "", *(f"- {make_plain(line)}" for line in summary_lines(result))]
    lines += [f"- {link}" for link in links]
    if "\n" in result.ended_early:
        lines += _write_section("Why it ended early", shorten_node_id(result.ended_early))
    if result.counts["failed"]:
        lines += _write_section("Failed files", describe_failures(result))
    return "\n".join(lines)


def _write_section(title: str, message: str) -> list[str]:
    """A block whose long lines go on in the next: what one is to do about it mostly comes last."""
    lines = [part for line in message.splitlines() for part in _wrap(line)]
    return ["", f"## {title}", "", *(f"    {line}" for line in lines)]


def _wrap(line: str) -> list[str]:
    """The line as it is or, if it is too long, broken at spaces alone: paths and names stay whole."""
    if len(line) <= BLOCK_COLUMNS:
        return [line]
    indent = " " * (len(line) - len(line.lstrip(" ")))
    return textwrap.wrap(
        line,
        BLOCK_COLUMNS,
        subsequent_indent=f"{indent}  ",
        replace_whitespace=False,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [line]
