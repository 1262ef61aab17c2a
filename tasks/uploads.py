"""Files into blobs. A blob carries the MD5 of its content, so a repeated upload sends only what differs."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture
from prefect.runtime import task_run

from tasks.azure import blobs, many_blobs
from tasks.azure.small_blobs import NewBlob
from tasks.azure.uploaded_blobs import Found, UploadedBlobs, find_uploaded_blob
from tasks.base.packed import select
from tasks.base.printable import show_name
from tasks.errors import InputError
from tasks.prefect.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.sharding import SHARDS_AT_ONCE, in_threads, name_shards, run_bounded, shard_size, split, turn
from tasks.spec.input_files import InputFile
from tasks.spec.naming import name_by_content
from tasks.step import NOT_CACHED, RETRIED, Whole, as_whole, opaque, take_whole


@dataclass(frozen=True)
class Uploaded:
    """A file as it lies in its blob."""

    md5: str
    """Of its content, hexadecimal."""

    etag: str


Find = Callable[[str], Found]
UploadedShard = tuple[Sequence[InputFile], list[str]]


def upload_inputs(container: str, files: Sequence[InputFile]) -> Generator[UploadedShard, None, None]:
    """See that each input is in a blob. Gives a shard of them as soon as it is, in whatever order, with what
    tells the content of each from any other; an empty one for each second in which there is none."""
    there_before = [(file, file.digest) for file in files if file.digest]
    if there_before:
        yield [file for file, _ in there_before], [digest for _, digest in there_before]
    local = select(files, lambda file: not file.blob)
    if local:
        yield from _upload_files(container, local)


def _upload_files(container: str, files: Sequence[InputFile]) -> Generator[UploadedShard, None, None]:
    """Upload files under their names, in parallel, a bounded number of shards at once; the MD5 of each,
    hexadecimal."""
    there = take_whole(list_uploaded(container))
    size = shard_size(len(files))
    shards = split(files, size)
    labels = name_shards(shards) if size > 1 else [""] * len(shards)
    starts = (
        partial(_start_upload, container, shard, there, label)
        for label, shard in zip(labels, shards, strict=True)
    )
    with closing(run_bounded(starts, SHARDS_AT_ONCE)) as uploads:
        for ended in uploads:
            if ended is None:
                yield [], []
                continue
            number, uploaded = ended
            yield shards[number], _list_md5s(uploaded)


def _list_md5s(uploaded: Uploaded | Whole[list[tuple[str, str]]]) -> list[str]:
    """Of a file, or of a shard."""
    if isinstance(uploaded, Uploaded):
        return [uploaded.md5]
    return [md5 for md5, _ in take_whole(uploaded)]


def _start_upload(
    container: str, shard: Sequence[InputFile], there: UploadedBlobs, label: str
) -> PrefectFuture[Any]:
    """Start the upload of a shard, or of a single file where there is no label."""
    if not label:
        return upload_input.submit(container, shard[0], opaque(there))
    return upload_shard.submit(label, container, opaque(shard), opaque(there))


# Not cached: it is how the uploads are known that need not be repeated.
@task(name="list uploaded", task_run_name="list uploaded", **NOT_CACHED, **RETRIED)
def list_uploaded(container: str) -> Whole[UploadedBlobs]:
    """What is in the container: one listing, instead of a request for each file."""
    return as_whole(UploadedBlobs(container))


def _identify_input(container: str, file: InputFile, there: UploadedBlobs, **_: Any) -> str | None:
    """The blob of an input, if there is one with the content that the file has now."""
    return _identify_file(container, file.name, file.path, there.find)


def _identify_file(container: str, name: str, path: str, find: Find) -> str | None:
    found = _find_uploaded(name, path, find)
    return found and _identify_blob(found, container, name)


def _find_uploaded(name: str, path: str, find: Find) -> Uploaded | None:
    """The file's blob, if there is one with the content that it has now."""
    md5 = compute_md5(path)[0].hex()
    return _find_by_content(name, md5, find)


def _find_by_content(name: str, md5: str, find: Find) -> Uploaded | None:
    """The blob of a file, if there is one with its content."""
    found = find(name_by_content(name, md5))
    return Uploaded(*found) if found and found[0] == md5 else None


def _identify_blob(uploaded: Uploaded, container: str, name: str) -> str:
    return build_identity(blobs.locate_container(container), name, uploaded.md5, uploaded.etag)


@task(
    name="upload input",
    task_run_name="upload {file.name}",
    cache_policy=WhileUnchanged(
        look=_identify_input,
        made=lambda uploaded, container, file, **_: _identify_blob(uploaded, container, file.name),
        work=of_inputs(lambda container, file, **_: [container, file.name]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def upload_input(container: str, file: InputFile, there: UploadedBlobs) -> Uploaded:
    """Upload one file, unless the same content is there."""
    return _upload_by_content(container, file.name, file.path, _find_in(container, there))


def _identify_shard(container: str, files: Sequence[InputFile], there: UploadedBlobs, **_: Any) -> str | None:
    """The blobs of a shard, if there is one of each with the content that its file has now."""
    if len(there) < len(files):
        return None
    found = in_threads(lambda file: _find_uploaded(file.name, file.path, there.find), files)
    return _identify_uploaded(as_whole([(one.md5, one.etag) for one in found if one]), container, files)


def _identify_uploaded(
    uploaded: Whole[list[tuple[str, str]]], container: str, files: Sequence[InputFile], **_: Any
) -> str | None:
    [found] = uploaded
    if len(found) < len(files):
        return None
    names = [file.name for file in files]
    return build_identity(blobs.locate_container(container), *names, *chain.from_iterable(found))


@task(
    name="upload inputs",
    task_run_name="upload files {label}",
    cache_policy=WhileUnchanged(
        look=_identify_shard,
        made=_identify_uploaded,
        work=of_inputs(lambda container, files, **_: [container, [file.name for file in files]]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def upload_shard(
    label: str, container: str, files: Sequence[InputFile], there: UploadedBlobs
) -> Whole[list[tuple[str, str]]]:
    """Upload a shard of the files, each unless the same content is there; MD5 and ETag of each."""
    find = _find_in(container, there)
    # An earlier try of this task may have uploaded the others: that is asked for each, which takes threads.
    uploaded = {} if _is_repeated() else _upload_small(container, files, there)
    left = [number for number in range(len(files)) if number not in uploaded]
    rest = in_threads(
        lambda number: _upload_by_content(container, files[number].name, files[number].path, find), left
    )
    uploaded.update(zip(left, rest, strict=True))
    return as_whole([(uploaded[number].md5, uploaded[number].etag) for number in range(len(files))])


def _upload_small(container: str, files: Sequence[InputFile], there: UploadedBlobs) -> dict[int, Uploaded]:
    """Upload the small ones among files, each unless the same content is there; by their numbers. Others are
    left alone. Raises InputError if a file can't be read."""
    uploaded, sent = dict[int, Uploaded](), deque[tuple[int, bytes]]()

    def read() -> Iterator[NewBlob]:
        for number, file in enumerate(files):
            if file.size_bytes >= blobs.SMALL_BYTES:
                continue
            with _readable(file.path):
                digest, _, content = _read_file(file.path)
            if known := _find_by_content(file.name, digest.hex(), there.find):
                uploaded[number] = known
            elif content is not None:
                sent.append((number, digest))
                yield NewBlob(name_by_content(file.name, digest.hex()), content, digest)

    with turn():
        for etag in many_blobs.upload_blobs(container, read()):
            number, digest = sent.popleft()
            if etag is not None:
                uploaded[number] = Uploaded(digest.hex(), etag)
    return uploaded


def _identify_program_file(container: str, name: str, path: str, **_: Any) -> str | None:
    """The blob of a program's file, if there is one with the content that the file has now."""
    return _identify_file(container, name, path, partial(find_uploaded_blob, container))


@task(
    name="upload application",
    task_run_name="upload application {name}",
    cache_policy=WhileUnchanged(
        look=_identify_program_file,
        made=lambda uploaded, container, name, **_: _identify_blob(uploaded, container, name),
        work=of_inputs(lambda container, name, **_: [container, name]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def upload_application(container: str, name: str, path: str) -> Uploaded:
    """Upload a file that Batch tasks get besides their input, unless the same content is there."""
    return _upload_by_content(container, name, path, partial(find_uploaded_blob, container))


def _upload_by_content(container: str, name: str, path: str, find: Find) -> Uploaded:
    """Upload a file into the blob that is named after its content, unless that is there.

    Raises TemporaryError if a large file changes meanwhile, InputError if a file can't be read.
    """
    with _readable(path):
        digest, size_bytes, content = _read_file(path)
        if there := _find_by_content(name, digest.hex(), find):
            return there
        blob = name_by_content(name, digest.hex())
        return Uploaded(digest.hex(), blobs.upload_blob(container, blob, path, size_bytes, digest, content))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"The file {show_name(path)} can't be read any more: {error.strerror}.") from error


def _find_in(container: str, there: UploadedBlobs) -> Find:
    """Where blobs are looked for: in a listing, or one by one, as an earlier try of this task may have
    uploaded them since."""
    return partial(find_uploaded_blob, container) if _is_repeated() else there.find


def _is_repeated() -> bool:
    """Whether Prefect runs this step again."""
    return (task_run.run_count or 1) > 1


def digest_input(file: InputFile) -> str:
    """What tells an input's content from any other: its MD5, hexadecimal, or of a blob that is not read its
    URL and ETag. Raises OSError if a file can't be read."""
    return file.digest or compute_md5(file.path)[0].hex()


def compute_md5(path: str | Path) -> tuple[bytes, int]:
    """The MD5 of a file's content, and its size in bytes."""
    digest, size_bytes, _ = _read_file(path)
    return digest, size_bytes


def _read_file(path: str | Path) -> tuple[bytes, int, bytes | None]:
    """The MD5 of a file's content, its size in bytes, and the content itself of a small one: what is sent is
    then what was read, and it is read once."""
    # No file object, which for a small file takes longer to make than all else here.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        wanted = 1 + min(os.fstat(descriptor).st_size, blobs.SMALL_BYTES)
        content = os.read(descriptor, wanted)
        # Up to its end, whatever it was said to have: only an empty read tells that.
        while len(content) < wanted and (more := os.read(descriptor, wanted - len(content))):
            content += more
        digest, size_bytes = hashlib.md5(content, usedforsecurity=False), len(content)
        if size_bytes < wanted:
            return digest.digest(), size_bytes, content
        while block := os.read(descriptor, 1 << 20):
            digest.update(block)
            size_bytes += len(block)
        return digest.digest(), size_bytes, None
    finally:
        os.close(descriptor)
