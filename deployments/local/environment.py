"""The file through which a stack tells its clients where it is: shell lines, `. FILE` sets the variables."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deployments.local.prefect_api import is_healthy
from deployments.local.settings import Settings, client_environment
from deployments.local.stack import LOCK
from deployments.locks import is_locked
from deployments.private_files import write_for_owner

LOCATION = "LOCAL_STACK_LOCATION"
HEADER = "# Written by the local stack once all is ready, removed when it stops.\n"


@contextmanager
def published(path: Path, settings: Settings) -> Iterator[None]:
    """Have the file there during the block, for clients of the stack that has these settings."""
    write(path, {**client_environment(settings), LOCATION: str(settings.location)})
    try:
        yield
    finally:
        if read(path).get(LOCATION) == str(settings.location):
            path.unlink(missing_ok=True)


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file in one step; it holds keys, so only the owner may read it."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_for_owner(path, "".join([HEADER, *lines]))


def read(path: Path) -> dict[str, str]:
    """The variables in the file; empty when there is none."""
    if not path.exists():
        return {}
    pairs = (word.partition("=") for word in shlex.split(path.read_text(), comments=True))
    return {name: value for name, equals, value in pairs if equals}


def read_live(path: Path) -> dict[str, str]:
    """The variables in the file if the stack that wrote it still runs and its Prefect server answers."""
    variables = read(path)
    location, api_url = variables.get(LOCATION, ""), variables.get("PREFECT_API_URL", "")
    if not location or not is_locked(Path(location) / LOCK):
        return {}
    port = int(api_url.removesuffix("/api").rpartition(":")[2])
    return variables if is_healthy(port) else {}
