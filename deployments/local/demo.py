"""The demonstration: run the deployed flow as a user would, and show what came of it."""

import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from deployments.local.settings import REPOSITORY, base_environment, link_to
from deployments.processes import Command, Service, running
from tasks.errors import InputError
from tasks.spec.input_files import InputFile
from tasks.spec.inputs import find_inputs

DEPLOYMENT = "top-n-words/count-words"
# As `./run` does it.
PREFECT = REPOSITORY / "deployments" / "quiet_prefect.py"
# So that no line is broken: the terminal does that better.
WIDTH = "500"
SHOWN_FILES = 3
# That of the deployment's flow.
OUTPUT_NAME = "{stem}_OUTPUT{suffix}"


def check(inputs: Path, output: Path) -> None:
    """Raise InputError for what can be seen to be wrong before anything is started."""
    find_inputs(str(inputs), OUTPUT_NAME, output)
    nearest = next(one for one in (output, *output.absolute().parents) if one.exists())
    if not nearest.is_dir():
        raise InputError(f"The outputs can't be written to {output}: {nearest} is a file, not a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"The outputs can't be written to {output}: you may not write to {nearest}.")


def run(
    variables: Mapping[str, str], inputs: Path, output: Path, num_words: int, say: Callable[[str], None]
) -> int:
    """Run the deployment over the folder and print what it wrote; return the exit code of `prefect`."""
    parameters = {
        "inputs": str(inputs.resolve()),
        "output_dir": str(output.resolve()),
        "num_words": num_words,
        # It is to show a run, also the second time.
        "refresh": True,
    }
    as_text = json.dumps(parameters, ensure_ascii=False)
    arguments = ["deployment", "run", DEPLOYMENT, "--watch", "--params", as_text]
    say(f"\nThe dashboard: {dashboard_link(variables)}")
    say(f"\n$ ./run prefect {shlex.join(arguments)}\n")
    exit_code = show(arguments, variables, say)
    if exit_code == 0:
        say(tables(find_inputs(str(inputs), OUTPUT_NAME, output), output))
    return exit_code


def dashboard_link(variables: Mapping[str, str]) -> str:
    address = variables["PREFECT_API_URL"].removesuffix("/api")
    return link_to(address, variables["PREFECT_API_AUTH_STRING"])


def show(arguments: Sequence[str], variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run `prefect` and pass on what it prints."""
    with tempfile.TemporaryDirectory(prefix="prefect-azure-batch-demo-") as folder:
        argv = [sys.executable, str(PREFECT), *arguments]
        environment = {**base_environment(os.environ), **variables, "COLUMNS": WIDTH}
        command = Command("prefect", argv, environment, Path(folder) / "output.log")
        with running(command) as service:
            for line in follow(service):
                say(line)
            return service.process.returncode


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


def tables(files: Sequence[InputFile], output: Path) -> str:
    """The outputs of the files: a few in full, how many there are, and where."""
    written = [path for file in files if (path := output / file.output_name).is_file()]
    shown = [f"{path.name}\n{path.read_text(errors='replace')}" for path in written[:SHOWN_FILES]]
    rest = f", the other {len(written) - SHOWN_FILES:,} too" if len(written) > SHOWN_FILES else ""
    return "\n".join(["", *shown, f"{len(written):,} tables of {len(files):,} files are in {output}{rest}"])
