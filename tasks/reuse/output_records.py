"""What runs have remembered of the outputs in a folder, in Prefect's result storage."""

import fcntl
import gzip
import io
import json
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from prefect.filesystems import NullFileSystem
from prefect.results import ResultStore, get_default_result_storage, get_result_store
from prefect.serializers import JSONSerializer

import tasks.reuse.result_storage  # noqa: F401  # A variable may name such a block, which Prefect knows once imported.
from tasks.base.deadlines import budget
from tasks.errors import BusyError
from tasks.logs import run_logger
from tasks.spec.recipe import digest_json

# For another run to read and write what is remembered.
LOCK_SECONDS = 60.0
LOCK_PAUSE_SECONDS = 0.05
# What comes of text that was not compressed, or not to its end.
BROKEN = (gzip.BadGzipFile, zlib.error, EOFError)


class OutputRecord(NamedTuple):
    """How one output was made: the digest of all that made it (`tasks.spec.recipe`), the MD5 of its content,
    hexadecimal, and how long its program ran, if that is known."""

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
        return dict(_unpack(find_result_store().read(_storage_key(folder)).result))
    except (FileNotFoundError, ValueError, TypeError, AttributeError, *BROKEN):
        # Prefect raises ValueError for a file that isn't there, or isn't a result; the others are of a result
        # that isn't ours.
        return {}


def write_records(folder: Path, made: Iterable[tuple[str, OutputRecord]]) -> None:
    """Keep how outputs were made, by the names of their inputs, beside what is remembered of others: nothing
    is written while that can't be read. A failure is logged only: the outputs are there."""
    try:
        with _one_at_a_time(folder):
            others = _read(folder)
            find_result_store().write(_pack(chain(made, others.items())), _storage_key(folder))
    except Exception as error:
        run_logger().warning("How the outputs were made can't be remembered: %s", error)


def _pack(records: Iterable[tuple[str, OutputRecord]]) -> str:
    """Records as one text, the first of each name: lines of JSON, compressed one by one. Prefect copies what
    it writes several times, whole."""
    packed, names = io.BytesIO(), set[str]()
    with gzip.open(packed, "wt", compresslevel=1, encoding="ascii") as lines:
        for name, record in records:
            if name not in names:
                names.add(name)
                lines.write(f"{json.dumps([name, *record])}\n")
    return b64encode(packed.getbuffer()).decode()


def _unpack(remembered: Any) -> Iterator[tuple[str, OutputRecord]]:
    """The records of a text, or of the table of lists that was written before there were such texts."""
    if not isinstance(remembered, str):
        yield from ((name, OutputRecord(*made)) for name, made in remembered.items())
        return
    with gzip.open(io.BytesIO(b64decode(remembered)), "rt", encoding="ascii") as lines:
        for name, *made in map(json.loads, lines):
            yield name, OutputRecord(*made)


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
        result_storage=storage, serializer=JSONSerializer(), cache_result_in_memory=False, lock_manager=None
    )


def _storage_key(folder: Path) -> str:
    return f"fan-out-outputs-{digest_json(str(folder))[:32]}"
