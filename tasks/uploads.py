"""Files into blobs. A blob carries the MD5 of its content, so a repeated upload sends only what differs."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.runtime import task_run

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.caching import WhileUnchanged, build_identity, keyed_afterwards, of_inputs
from tasks.errors import InputError, TemporaryError
from tasks.sharding import gather_results, in_threads, name_shards, shard_size, split
from tasks.spec.inputs import InputFile
from tasks.step import NOT_CACHED, RETRIED, opaque


@dataclass(frozen=True)
class Uploaded:
    """A file as it lies in its blob."""

    md5: str
    """Of its content, hexadecimal."""

    etag: str


def upload_inputs(container: str, files: list[InputFile]) -> list[str]:
    """Upload files under their names, in parallel; the MD5 of each, hexadecimal, in the same order."""
    there = list_uploaded(container)
    size = shard_size(len(files))
    if size == 1:
        futures = [upload_input.submit(container, file, there.get(file.name)) for file in files]
        return [uploaded.md5 for uploaded in gather_results(futures)]
    shards = split(files, size)
    futures = [
        upload_shard.submit(
            label,
            container,
            opaque(shard),
            opaque([there.get(file.name) for file in shard]),
        )
        for label, shard in zip(name_shards(shards), shards, strict=True)
    ]
    return [md5 for shard in gather_results(futures) for md5, _ in shard]


# Not cached: it is how the uploads are known that need not be repeated.
@task(name="list uploaded", task_run_name="list uploaded", **NOT_CACHED, **RETRIED)
def list_uploaded(container: str) -> dict[str, Blob]:
    """What is in the container: one listing, instead of a request for each file."""
    return dict(blobs.list_blobs(container))


def _identify_input(container: str, file: InputFile, there: Blob | None, **_: Any) -> str | None:
    """The blob of an input, if it has the content that the file has now."""
    if there is None or there.content_md5 is None or there.content_md5 != compute_md5(file.path)[0]:
        return None
    return _identify_blob(Uploaded(there.content_md5.hex(), there.etag), container, file.name)


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
def upload_input(container: str, file: InputFile, there: Blob | None) -> Uploaded:
    """Upload one file, unless the same content is there."""
    return upload_file(container, file.name, file.path, there)


def _identify_shard(
    container: str, files: Sequence[InputFile], there: list[Blob | None], **_: Any
) -> str | None:
    """The blobs of a shard, if each has the content that its file has now."""
    if None in there:
        return None
    found = in_threads(lambda pair: _identify_input(container, *pair), list(zip(files, there, strict=True)))
    return None if None in found else build_identity(*found)


def _identify_uploaded(
    uploaded: list[tuple[str, str]], container: str, files: list[InputFile], **_: Any
) -> str:
    pairs = zip(uploaded, files, strict=True)
    return build_identity(*(_identify_blob(Uploaded(*one), container, file.name) for one, file in pairs))


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
    label: str, container: str, files: Sequence[InputFile], there: list[Blob | None]
) -> list[tuple[str, str]]:
    """Upload a shard of the files, each unless the same content is there; MD5 and ETag of each."""
    pairs = list(zip(files, there, strict=True))
    uploaded = in_threads(lambda pair: upload_file(container, pair[0].name, pair[0].path, pair[1]), pairs)
    return [(one.md5, one.etag) for one in uploaded]


def _identify_program_file(container: str, name: str, path: str, **_: Any) -> str | None:
    """The blob of a program's file, if it has the content that the file has now."""
    digest = compute_md5(path)[0]
    blob = name_program_blob(name, digest.hex())
    there = blobs.find_blob(container, blob)
    if there is None or there.content_md5 != digest:
        return None
    return _identify_blob(Uploaded(digest.hex(), there.etag), container, blob)


@task(
    name="upload application",
    task_run_name="upload application {name}",
    cache_policy=WhileUnchanged(
        look=_identify_program_file,
        made=lambda uploaded, container, name, **_: _identify_blob(
            uploaded, container, name_program_blob(name, uploaded.md5)
        ),
        work=of_inputs(lambda container, name, **_: [container, name]),
    ),
    result_serializer="json",
    **RETRIED,
)
@keyed_afterwards
def upload_application(container: str, name: str, path: str) -> Uploaded:
    """Upload a file that Batch tasks get besides their input, unless the same content is there.

    The blob's name is the MD5 and then the file's: a blob never changes its content, so whoever was given
    its URL gets what was meant.
    """
    digest = compute_md5(path)[0]
    blob = name_program_blob(name, digest.hex())
    return upload_file(container, blob, path, blobs.find_blob(container, blob), digest)


def name_program_blob(name: str, md5: str) -> str:
    return f"{md5}/{name}"


def upload_file(
    container: str, name: str, path: str, there: Blob | None, expected: bytes | None = None
) -> Uploaded:
    """Stream a file into a blob, unless the one that is there has the same content.

    Raises TemporaryError if the file changes meanwhile, or has another MD5 than the expected one.
    """
    if (task_run.run_count or 1) > 1:
        # An earlier try of the task may have uploaded it.
        there = blobs.find_blob(container, name)
    try:
        digest, size_bytes = compute_md5(path)
        if expected not in (None, digest):
            raise TemporaryError(f"The file {path} changes while it is uploaded.")
        if there is not None and there.content_md5 == digest:
            etag = there.etag
        else:
            etag = blobs.upload_blob(container, name, path, size_bytes, digest)
    except OSError as error:
        raise InputError(f"The file {path} can't be read any more: {error.strerror}.") from error
    return Uploaded(digest.hex(), etag)


def compute_md5(path: str | Path) -> tuple[bytes, int]:
    """The MD5 of a file's content, and its size in bytes."""
    with open(path, "rb") as stream:
        digest = hashlib.md5(usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.digest(), os.fstat(stream.fileno()).st_size
