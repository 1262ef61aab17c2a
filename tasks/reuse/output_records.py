"""What runs have remembered of the outputs in a folder, in Prefect's result storage."""

import fcntl
import gzip
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, islice, starmap
from pathlib import Path
from typing import Any

from prefect.filesystems import NullFileSystem
from prefect.results import ResultStore, get_default_result_storage, get_result_store
from prefect.serializers import JSONSerializer

import tasks.reuse.result_storage  # noqa: F401  # A variable may name such a block, which Prefect knows once imported.
from tasks.base.deadlines import budget
from tasks.errors import BusyError
from tasks.logs import run_logger
from tasks.reuse.record_lines import (
    OutOfOrderError,
    OutputRecord,
    OutputRecords,
    check_order,
    find_records,
    merge_lines,
    sort_lines,
    spell_record,
)
from tasks.spec.recipe import digest_json

# For another run to read and write what is remembered.
LOCK_SECONDS = 60.0
LOCK_PAUSE_SECONDS = 0.05
# How many are kept in one result of Prefect's, and how one begins that says where several are.
PART_RECORDS, PARTS = 10_000, "parts"
# What comes of text that was not compressed, or not to its end.
BROKEN = (gzip.BadGzipFile, zlib.error, EOFError)


def read_records(folder: Path) -> OutputRecords:
    """What is remembered, by the inputs' names; nothing if it can't be read."""
    try:
        store = find_result_store()
        head = _read_result(store, _storage_key(folder))
        return OutputRecords(_unpack_all(_read_parts(store, folder, head)))
    except Exception as error:
        run_logger().warning("What earlier runs have made can't be read, so every file is run: %s", error)
        return OutputRecords()


def _read_parts(store: ResultStore, folder: Path, head: Any) -> Iterator[Any]:
    """The parts of what is remembered, as they were written. Raises what a storage does that is away."""
    letter, count = _read_head(head)
    if not count:
        yield head
    for number in range(count):
        yield _read_result(store, _storage_key(folder, letter, number))


def _read_result(store: ResultStore, key: str) -> Any:
    """What stands there; None if there is no such thing."""
    try:
        return store.read(key).result
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # Prefect raises ValueError for a file that isn't there, or isn't a result; the others are of a result
        # that isn't ours.
        return None


def _read_head(head: Any) -> tuple[str, int]:
    """Under which letter the parts stand, and how many there are; none where the head is all."""
    words = head.split(" ") if isinstance(head, str) else []
    return (words[1], int(words[2])) if len(words) == 3 and words[0] == PARTS else ("", 0)


def write_records(folder: Path, made: Collection[tuple[str, OutputRecord]]) -> None:
    """Keep how outputs were made, by the names of their inputs, beside what is remembered of others: as long
    as that can't be read, it stays. A failure is logged only: the outputs are there."""
    try:
        with _one_at_a_time(folder):
            try:
                _merge_records(folder, made, check_order)
            except OutOfOrderError:
                _merge_records(folder, made, sort_lines)
    except Exception as error:
        run_logger().warning("How the outputs were made can't be remembered: %s", error)


def _merge_records(
    folder: Path,
    made: Collection[tuple[str, OutputRecord]],
    order: Callable[[Iterable[bytes]], Iterator[bytes]],
) -> None:
    """Write what was made together with what is there, which is read meanwhile, both in order."""
    store = find_result_store()
    head = _read_result(store, _storage_key(folder))
    there = _unpack_all(_read_parts(store, folder, head))
    lines = merge_lines(order(starmap(spell_record, made)), order(there))
    _write_parts(store, folder, "b" if _read_head(head)[0] == "a" else "a", _pack(lines))


def _write_parts(store: ResultStore, folder: Path, letter: str, parts: Iterator[str]) -> None:
    """Write the parts under a letter that those that there are don't have, and then say that it is these:
    whoever reads finds the one or the other, whenever this ends."""
    head, following = next(parts, ""), next(parts, None)
    if following is not None:
        count = 0
        for count, part in enumerate(chain([head, following], parts), 1):
            store.write(part, _storage_key(folder, letter, count - 1))
        head = f"{PARTS} {letter} {count}"
    store.write(head, _storage_key(folder))


def _pack(lines: Iterator[bytes]) -> Iterator[str]:
    """Lines as texts, compressed. Prefect copies what it writes several times, whole, so that no text has
    more than PART_RECORDS."""
    while part := [*islice(lines, PART_RECORDS)]:
        yield b64encode(gzip.compress(b"\n".join([*part, b""]), compresslevel=1)).decode()


def _unpack_all(parts: Iterable[Any]) -> Iterator[bytes]:
    """The lines of parts, but of those that are none of ours or broken."""
    for part in parts:
        with suppress(ValueError, TypeError, AttributeError, *BROKEN):
            yield from _unpack(part)


def _unpack(part: Any) -> Iterator[bytes]:
    """The lines of a text, or of the table of lists that was written before there were such texts."""
    if not isinstance(part, str):
        return (spell_record(name, OutputRecord(*made)) for name, made in part.items())
    return iter(find_records(gzip.decompress(b64decode(part)).splitlines()))


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


def _storage_key(folder: Path, letter: str = "", part: int = 0) -> str:
    key = f"fan-out-outputs-{digest_json(str(folder))[:32]}"
    return f"{key}-{letter}{part}" if letter else key
