"""What became of a run, as JSON: written an output at a time, as there may be a million."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from json.encoder import encode_basestring as spell
from typing import Any, TextIO

from tasks.spec.file_results import FileResult
from tasks.spec.run_results import RunResult


def write_summary(result: RunResult | None, exit_code: int, error: str | None, file: TextIO) -> None:
    """Write the summary; a run that failed early has no more than its state and its error."""
    summary = {"state": "failed" if exit_code else "completed", "error": error}
    if result is not None:
        summary |= _describe_run(result)
    before = "{\n  "
    for name, value in summary.items():
        file.write(f"{before}{spell(name)}: ")
        file.writelines(_spell_pairs(value) if isinstance(value, Iterator) else [_spell_value(value)])
        before = ",\n  "
    file.write("\n}\n")


def _spell_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")


def _spell_pairs(pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
    """An object of these names and texts."""
    before, end = "{", "{}"
    for name, text in pairs:
        yield f"{before}\n    {spell(name)}: {spell(text)}"
        before, end = ",", "\n  }"
    yield end


def _describe_run(result: RunResult) -> dict[str, Any]:
    counts = result.counts
    return {
        "run_key": result.run_key,
        "job_id": result.job_id,
        "pool_id": result.pool_id,
        "command": result.command,
        "started_at": result.started_at and result.started_at.isoformat(timespec="seconds"),
        "ended_at": result.ended_at and result.ended_at.isoformat(timespec="seconds"),
        "elapsed_seconds": round(result.elapsed_seconds, 3),
        "spent": result.spent and asdict(result.spent),
        "files": len(result.files),
        **{state: counts[state] for state in ("succeeded", "unchanged", "skipped", "failed", "unfinished")},
        "output_dir": result.output_dir,
        "outputs": result.files.list_outputs(),
        "failures": [_describe_failure(file) for file in result.failures],
    }


def _describe_failure(file: FileResult) -> dict[str, Any]:
    return {
        "file": file.name,
        "problem": file.problem,
        "exit_code": file.task and file.task.exit_code,
        "stderr": file.stderr,
    }
