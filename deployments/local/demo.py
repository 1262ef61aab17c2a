"""The demonstration: run the deployed flow as a user would, and show what came of it."""

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from deployments.local.settings import base_environment
from deployments.processes import Command, Service, running

DEPLOYMENT = "top-n-words/count-words"
# How `--watch` begins the line of an event; those of a log begin with another sign.
EVENT = "●"
# So that no line is broken: the terminal does that better.
WIDTH = "500"
SHOWN_FILES = 12


def run(
    variables: Mapping[str, str], inputs: Path, output: Path, num_words: int, say: Callable[[str], None]
) -> int:
    """Run the deployment over the folder and print the tables it wrote; return the exit code of `prefect`."""
    parameters = {
        "inputs": str(inputs.resolve()),
        "output_dir": str(output.resolve()),
        "num_words": num_words,
        # It is to show a run, also the second time.
        "refresh": True,
    }
    arguments = ["deployment", "run", DEPLOYMENT, "--watch", "--params", json.dumps(parameters)]
    say(f"\n$ prefect {shlex.join(arguments)}\n")
    started_at = time.time()
    exit_code = show(arguments, variables, say)
    if exit_code == 0:
        say(tables(output, since=started_at))
    return exit_code


def show(arguments: Sequence[str], variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run `prefect` and pass on what it prints but the events: the logs tell the same more readably."""
    with tempfile.TemporaryDirectory(prefix="prefect-azure-batch-demo-") as folder:
        argv = [sys.executable, "-m", "prefect", *arguments]
        environment = {**base_environment(os.environ), **variables, "COLUMNS": WIDTH}
        command = Command("prefect", argv, environment, Path(folder) / "output.log")
        with running(command) as service:
            for line in follow(service):
                if not line.startswith(EVENT):
                    say(line)
            return service.process.wait()


def follow(service: Service) -> Iterator[str]:
    """The lines of the service's log as they come, until it has ended."""
    with service.command.log.open(errors="replace") as log:
        partial, ended = "", False
        while not ended:
            ended = service.process.poll() is not None
            *lines, partial = (partial + log.read()).split("\n")
            yield from lines
            time.sleep(0.0 if ended else 0.1)
        yield from filter(None, [partial])


def tables(output: Path, since: float) -> str:
    """The output files written since that time, the first few of them in full."""
    written = sorted(path for path in output.rglob("*_OUTPUT.txt") if path.stat().st_mtime >= since)
    shown = [f"{path.name}\n{path.read_text(errors='replace')}" for path in written[:SHOWN_FILES]]
    more = [f"... and {len(written) - SHOWN_FILES} more files"] if len(written) > SHOWN_FILES else []
    return "\n".join(["", *shown, *more, f"{len(written)} files are in {output}"])
