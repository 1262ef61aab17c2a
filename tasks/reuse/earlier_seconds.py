"""How many files share a Batch task, by what such files have taken in earlier runs and attempts."""

from dataclasses import replace
from pathlib import Path

from tasks.logs import run_logger
from tasks.plans import Plan
from tasks.reuse.output_records import read_records
from tasks.spec.bundle_sizes import choose_files_per_task


def share_tasks(plan: Plan) -> Plan:
    """The plan with a number of files for each Batch task, if it is to be found."""
    spec = plan.spec
    if spec.files_per_task != "auto":
        return plan
    pool, at_once = spec.pool, spec.task.required_slots
    slots = pool.most_nodes * pool.tasks_per_node(at_once)
    size_bytes = sum(file.size_bytes for file in plan.files)
    seconds = measure_earlier(plan.output_folder)
    found = choose_files_per_task(len(plan.files), size_bytes, slots, at_once, seconds)
    known = "" if seconds is None else f", as such a file has taken {seconds:.2g} s so far"
    run_logger().info("Files for each Batch task: %s%s", f"{found:,}", known)
    return replace(plan, files_per_task=found)


def measure_earlier(folder: Path | None) -> float | None:
    """How long the programs took on average that made the outputs in a folder; None if nobody knows."""
    records = {} if folder is None else read_records(folder)
    known = [one.seconds for one in records.values() if one.seconds is not None]
    return sum(known) / len(known) if known else None
