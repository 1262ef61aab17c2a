"""What runs have remembered of the outputs in a folder, in Prefect's result storage."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect.filesystems import NullFileSystem
from prefect.results import ResultStore, get_default_result_storage, get_result_store
from prefect.serializers import JSONSerializer

import tasks.reuse.result_storage  # noqa: F401  # A variable may name such a block, which Prefect knows once imported.
from tasks.logs import run_logger


@dataclass(frozen=True)
class Made:
    """How one output was made: the digest of what went into it, and the MD5 of what came out, hexadecimal."""

    source: str
    output: str


def digest_of(value: object) -> str:
    """The SHA-256 of a JSON value, hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def recall(folder: Path) -> dict[str, Made]:
    """What is remembered, by the inputs' names; nothing if it can't be read."""
    try:
        remembered = result_store().read(key_of(folder)).result
        return {name: Made(*made) for name, made in remembered.items()}
    except (FileNotFoundError, ValueError):
        # Prefect raises ValueError for a file that isn't there, or isn't a result.
        return {}
    except Exception as error:
        run_logger().warning("What earlier runs have made can't be read, so every file is run: %s", error)
        return {}


def remember(folder: Path, made: Mapping[str, Made]) -> None:
    """Keep how outputs were made, beside what is remembered of others. A failure is logged only: the outputs
    are there."""
    together = {**recall(folder), **made}
    try:
        result_store().write(
            {name: [one.source, one.output] for name, one in together.items()}, key_of(folder)
        )
    except Exception as error:
        run_logger().warning("How the outputs were made can't be remembered: %s", error)


def result_store() -> ResultStore:
    """Prefect's result storage: that of the flow run or, if it keeps no results of its own, the default one.
    Either may be local, or a block such as one of blobs."""
    storage = get_result_store().result_storage
    if isinstance(storage, NullFileSystem):
        storage = get_default_result_storage(_sync=True)
    return ResultStore(
        result_storage=storage, serializer=JSONSerializer(), cache_result_in_memory=False, lock_manager=None
    )


def key_of(folder: Path) -> str:
    return f"fan-out-outputs-{digest_of(str(folder))[:32]}"
