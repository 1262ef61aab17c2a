"""Files into blobs. A blob carries the MD5 of its content, so a repeated upload sends only what differs."""

import hashlib
import os
from pathlib import Path

from prefect import task
from prefect.runtime import task_run
from prefect.states import State
from prefect.utilities.annotations import opaque

from tasks.azure import blobs
from tasks.errors import InputError
from tasks.sharding import in_threads, results_of, shard_size, split
from tasks.spec.inputs import InputFile
from tasks.step import NOT_CACHED, RETRIED, outcome


def upload_inputs(container: str, files: list[InputFile], fresh: bool) -> list[str]:
    """Upload files under their names, in parallel; the MD5 of each, hexadecimal, in the same order.

    `fresh` says that the container is new, so that nothing in it has to be compared.
    """
    size = shard_size(len(files))
    if size == 1:
        return results_of([upload_input.submit(container, file, fresh) for file in files])
    shards = split(files, size)
    labels = [f"{number} of {len(shards)}" for number in range(1, len(shards) + 1)]
    futures = [
        upload_shard.submit(label, container, opaque(shard), fresh)
        for label, shard in zip(labels, shards, strict=True)
    ]
    return [digest for digests in results_of(futures) for digest in digests]


@task(name="upload input", task_run_name="upload {file.name}", **NOT_CACHED, **RETRIED)
def upload_input(container: str, file: InputFile, fresh: bool) -> State[str]:
    """Upload one file, unless the same content is there; its MD5, hexadecimal."""
    return outcome(*upload_file(container, file.name, file.path, fresh and is_first_try()))


@task(name="upload inputs", task_run_name="upload shard {label}", **NOT_CACHED, **RETRIED)
def upload_shard(label: str, container: str, files: list[InputFile], fresh: bool) -> State[list[str]]:
    """Upload a shard of the files, each unless the same content is there; their MD5s, hexadecimal."""
    fresh = fresh and is_first_try()
    uploaded = in_threads(lambda file: upload_file(container, file.name, file.path, fresh), files)
    return outcome([digest for digest, _ in uploaded], all(was_there for _, was_there in uploaded))


@task(name="upload application", task_run_name="upload application {name}", **NOT_CACHED, **RETRIED)
def upload_application(container: str, name: str, path: str) -> State[str]:
    """Upload the program that runs on each file, unless the same content is there; its MD5, hexadecimal."""
    return outcome(*upload_file(container, name, path, fresh=False))


def is_first_try() -> bool:
    return (task_run.run_count or 1) <= 1


def upload_file(container: str, name: str, path: str, fresh: bool) -> tuple[str, bool]:
    """Stream a file into a blob, unless it has the same content; the MD5, hexadecimal, and whether it had."""
    try:
        digest, size_bytes = md5_of(path)
        was_there = not fresh and has_content(container, name, digest)
        if not was_there:
            blobs.upload_file(container, name, path, size_bytes, digest)
    except OSError as error:
        raise InputError(f"The file {path} can't be read any more: {error.strerror}.") from error
    return digest.hex(), was_there


def has_content(container: str, name: str, content_md5: bytes) -> bool:
    """Whether there is a blob that carries this MD5."""
    blob = blobs.find_blob(container, name)
    return blob is not None and blob.content_md5 == content_md5


def md5_of(path: str | Path) -> tuple[bytes, int]:
    """The MD5 of a file's content, and its size in bytes."""
    with open(path, "rb") as stream:
        digest = hashlib.md5(usedforsecurity=False)
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.digest(), os.fstat(stream.fileno()).st_size
