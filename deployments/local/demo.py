"""The demonstration: run the deployed flow as a user would, and show what came of it."""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deployments.local.settings import base_environment
from deployments.processes import Command, running

DEPLOYMENT = "top-n-words/local"
SHOWN_FILES = 12


def run(
    variables: Mapping[str, str], inputs: Path, output: Path, num_words: int, say: Callable[[str], None]
) -> int:
    """Run the deployment over the folder and print the tables it wrote; return the exit code of `prefect`."""
    parameters = {
        "inputs": str(inputs.resolve()),
        "output_dir": str(output.resolve()),
        "num_words": num_words,
    }
    arguments = ["deployment", "run", DEPLOYMENT, "--watch", "--params", json.dumps(parameters)]
    say(f"\n$ prefect {shlex.join(arguments)}\n")
    argv = [sys.executable, "-m", "prefect", *arguments]
    environment = {**base_environment(os.environ), **variables}
    started_at = time.time()
    with running(Command("prefect deployment run", argv, environment, log=None)) as service:
        exit_code = service.process.wait()
    if exit_code == 0:
        say(tables(output, since=started_at))
    return exit_code


def tables(output: Path, since: float) -> str:
    """The output files written since that time, the first few of them in full."""
    written = sorted(path for path in output.rglob("*_OUTPUT.txt") if path.stat().st_mtime >= since)
    shown = [f"{path.name}\n{path.read_text(errors='replace')}" for path in written[:SHOWN_FILES]]
    more = [f"... and {len(written) - SHOWN_FILES} more files"] if len(written) > SHOWN_FILES else []
    return "\n".join(["", *shown, *more, f"{len(written)} files are in {output}"])
