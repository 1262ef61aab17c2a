"""Raw JSON that is merged into the body of a pool or a task, for what the specifications don't model.

Objects are merged, anything else takes the place of what was there. What a run relies on can't be overridden,
and no secret may be among it, as Prefect records parameters.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

# What finds a pool again, says whose it is, makes it end, and what it is compared by.
POOL_KEPT = (
    "id",
    "metadata",
    "vmSize",
    "taskSlotsPerNode",
    "enableAutoScale",
    "autoScaleFormula",
    "autoScaleEvaluationInterval",
    "targetDedicatedNodes",
    "targetLowPriorityNodes",
    "virtualMachineConfiguration.imageReference",
    "virtualMachineConfiguration.nodeAgentSKUId",
    "startTask.commandLine",
    "startTask.resourceFiles",
    "startTask.environmentSettings",
)
# What brings the files of a task, runs its command and fetches its output.
TASK_KEPT = ("id", "commandLine", "resourceFiles", "outputFiles", "environmentSettings")
SECRETS = {"password", "accountkey", "saskey", "sshprivatekey", "protectedsettings"}


def merge_overrides(body: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The body with the overrides in it; neither is changed."""
    both = dict(body)
    for name, value in overrides.items():
        old = both.get(name)
        both[name] = (
            merge_overrides(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return both


def check_pool_overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides of a pool. Raises ValueError for what a run relies on, and for secrets."""
    return _check_overrides(overrides, POOL_KEPT, "a pool")


def check_task_overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """The overrides of a Batch task. Raises ValueError for what a run relies on, and for secrets."""
    return _check_overrides(overrides, TASK_KEPT, "a task")


def _check_overrides(overrides: dict[str, Any], kept: Iterable[str], whose: str) -> dict[str, Any]:
    try:
        # As it is sent, which makes null of a number that is none.
        orjson.dumps(overrides)
        json.dumps(overrides, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"it must be JSON: {error}") from error
    for path, value in _walk_leaves(overrides):
        for name in kept:
            if _overlap(path.casefold(), name.casefold()):
                raise ValueError(f"{name} of {whose} can't be overridden: the run relies on it")
        if _is_secret(path, value):
            raise ValueError(f"{path} would be recorded by Prefect, and may be no secret: leave it out")
    return overrides


def _walk_leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no object, with its path; those in lists have their list's path."""
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _walk_leaves(part, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for part in value:
            yield from _walk_leaves(part, path)
    else:
        yield path, value


def _overlap(path: str, other: str) -> bool:
    """Whether one path is the other, or leads to it."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _is_secret(path: str, value: Any) -> bool:
    names = set(path.casefold().split("."))
    return bool(names & SECRETS) or (isinstance(value, str) and "sig=" in value.casefold())
