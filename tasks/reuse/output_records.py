"""What runs have remembered of the outputs in a folder, in Prefect's result storage."""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from prefect.filesystems import NullFileSystem
from prefect.results import ResultStore, get_default_result_storage, get_result_store
from prefect.serializers import CompressedSerializer, JSONSerializer

import tasks.reuse.result_storage  # noqa: F401  # A variable may name such a block, which Prefect knows once imported.
from tasks.base.deadlines import budget
from tasks.errors import BusyError
from tasks.logs import run_logger
from tasks.spec.recipe import digest_json

# For another run to read and write what is remembered.
LOCK_SECONDS = 60.0
LOCK_PAUSE_SECONDS = 0.05
# Prefect copies what is written several times, whole: 50 MB for 100,000 outputs, were it plain JSON.
COMPACT_JSON = CompressedSerializer(serializer=JSONSerializer(), compressionlib="zlib")


class OutputRecord(NamedTuple):
    """How one output was made: the digest of all that made it (`tasks.spec.recipe`), the MD5 of its content,
    hexadecimal, and how long its program ran, if that is known. JSON has it as it is, with no copy."""

    source: str
    md5: str
    seconds: float | None = None


def read_records(folder: Path) -> dict[str, OutputRecord]:
    """What is remembered, by the inputs' names; nothing if it can't be read."""
    try:
        return _read(folder)
    except Exception as error:
        run_logger().warning("What earlier runs have made can't be read, so every file is run: %s", error)
        return {}


def _read(folder: Path) -> dict[str, OutputRecord]:
    """What is remembered; nothing if there is no such thing. Raises what a storage does that is away."""
    try:
        remembered = find_result_store().read(_storage_key(folder)).result
        return {name: OutputRecord(*made) for name, made in remembered.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # Prefect raises ValueError for a file that isn't there, or isn't a result; the others are of a result
        # that isn't ours.
        return {}


def write_records(folder: Path, made: Mapping[str, OutputRecord]) -> None:
    """Keep how outputs were made, beside what is remembered of others: nothing is written while that can't be
    read. A failure is logged only: the outputs are there."""
    try:
        with _one_at_a_time(folder):
            others = {name: one for name, one in _read(folder).items() if name not in made}
            find_result_store().write({**others, **made}, _storage_key(folder))
    except Exception as error:
        run_logger().warning("How the outputs were made can't be remembered: %s", error)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other runs of this machine from remembering outputs of the folder meanwhile: what they read would
    be without what this one writes. The folder itself is what is locked; one that can't be is not.

    Raises BusyError if another holds it for too long.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            _lock(descriptor, folder)
        yield


def _lock(descriptor: int, folder: Path) -> None:
    """Lock it as soon as no other run has it. Raises OSError if it can't be locked, else BusyError."""
    with budget(LOCK_SECONDS) as deadline:
        while not deadline.is_over:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            deadline.pause(LOCK_PAUSE_SECONDS)
    raise BusyError(f"Another run has held {folder} for {LOCK_SECONDS:.0f} s. Does its process hang?")


def find_result_store() -> ResultStore:
    """Prefect's result storage: that of the flow run or, if it keeps no results of its own, the default one.
    Either may be local, or a block such as one of blobs."""
    storage = get_result_store().result_storage
    if isinstance(storage, NullFileSystem):
        storage = get_default_result_storage(_sync=True)  # pyright: ignore[reportCallIssue]
    return ResultStore(
        result_storage=storage, serializer=COMPACT_JSON, cache_result_in_memory=False, lock_manager=None
    )


def _storage_key(folder: Path) -> str:
    return f"fan-out-outputs-{digest_json(str(folder))[:32]}"
