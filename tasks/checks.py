"""All that can be known to be wrong before a run makes anything, found at once."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal
from uuid import uuid4

from prefect.futures import wait

from tasks.azure import blobs
from tasks.azure.accounts import current_accounts
from tasks.azure.clients import batch_client, blob_service
from tasks.azure.clocks import ask_clock
from tasks.azure.sas import make_signer, why_too_short
from tasks.base.deadlines import first_call
from tasks.base.printable import say_count
from tasks.containers import check_storage
from tasks.errors import FanOutError, PoolError
from tasks.images import Image, choose_image, pick_image
from tasks.pools import refuse_other_pool
from tasks.sharding import find_failure, in_threads
from tasks.spec.input_files import InputFile
from tasks.spec.naming import RunNames
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import PoolSpec
from tasks.spec.vm_sizes import read_cores, why_too_many_slots

SOON = timedelta(days=90)
LITTLE_SPACE_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """What is known about one thing that a run needs."""

    about: str
    outcome: Literal["fine", "warning", "wrong"]
    message: str


def check_accounts(names: RunNames, spec: RunOptions) -> Image:
    """The first step of a run: ask both accounts, and find the image. Raises all that is wrong as one."""
    futures = [
        choose_image.submit(spec.pool.image, spec.pool.containers.are_wanted),
        check_storage.submit(names, spec.timeout_seconds),
    ]
    wait(futures)
    failures = [error for future in futures if (error := find_failure(future)) is not None]
    ours = [error for error in failures if isinstance(error, FanOutError)]
    if len(ours) > 1 and len(ours) == len(failures):
        raise type(ours[0])("\n".join(map(str, ours))) from ours[0]
    if failures:
        raise failures[0]
    image = futures[0].result()
    with first_call():
        refuse_other_pool(spec.pool, image)
    return image


def find_account_problems(pool: PoolSpec, timeout_seconds: float) -> list[Finding]:
    """What the accounts say of themselves; each is asked whatever becomes of the others."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("clock", _check_clocks),
        ("Batch account", lambda: _check_batch(pool)),
        ("quotas", _check_pools),
        ("storage account", _check_writing),
        ("signatures", lambda: _check_signing(timeout_seconds)),
    ]
    return [finding for found in in_threads(lambda one: _look(*one), checks) for finding in found]


def _look(about: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; that it can't be done is a finding too."""
    try:
        with first_call():
            return list(check())
    except (FanOutError, OSError) as error:
        return [Finding(about, "wrong", str(error))]


def _check_clocks() -> Iterator[Finding]:
    accounts = current_accounts()
    with blob_service("Looking for the storage account's endpoint") as service:
        endpoints = {"Batch": accounts.batch_endpoint, "Storage": service.url}
    skews = {name: skew for name, endpoint in endpoints.items() if (skew := ask_clock(endpoint))}
    for name, skew in skews.items():
        yield Finding("clock", "wrong", f"{name}: {skew}")
    if not skews:
        yield Finding("clock", "fine", "It is that of both services.")


def _check_batch(pool: PoolSpec) -> Iterator[Finding]:
    now = datetime.now(timezone.utc)
    with batch_client("Listing the supported images") as client:
        images = list(client.list_supported_images())
    yield Finding("Batch account", "fine", "It takes the credentials.")
    image = pick_image(images, pool.image, now, pool.containers.are_wanted)
    try:
        refuse_other_pool(pool, image)
    except PoolError as error:
        yield Finding("pool", "wrong", str(error))
    ends = [
        one.batch_support_end_of_life
        for one in images
        if (one.image_reference.offer, one.image_reference.sku) == (image.offer, image.sku)
    ]
    ends_at = min((end for end in ends if end is not None), default=None)
    name = f"{image.publisher} {image.offer} {image.sku}"
    if ends_at is not None and ends_at - now < SOON:
        yield Finding(
            "image", "warning", f"{name} is supported until {ends_at:%Y-%m-%d} only: choose another."
        )
    else:
        until = f" until {ends_at:%Y-%m-%d}" if ends_at else ""
        yield Finding("image", "fine", f"{name} is supported{until}.")


def _check_pools() -> Iterator[Finding]:
    """Only the management plane knows the quotas; here they show in pools that did not get their nodes."""
    count = nodes = 0
    with batch_client("Listing the pools") as client:
        for pool in client.list_pools():
            count += 1
            nodes += (pool.current_dedicated_nodes or 0) + (pool.current_low_priority_nodes or 0)
            for error in pool.resize_errors or []:
                if "Quota" in (error.code or ""):
                    yield Finding(
                        "quotas", "warning", f"The pool {pool.id} did not get its nodes: {error.code}."
                    )
    pools = say_count(count, "pool")
    yield Finding("quotas", "fine", f"The account has {pools} with {say_count(nodes, 'node')}.")


def _check_writing() -> Iterator[Finding]:
    """Whether the identity may do what a run does: a role that only reads is found by trying."""
    container = f"check-{uuid4().hex}"
    blobs.create_container(container)
    try:
        blobs.write_blob(container, "check", b"")
    finally:
        blobs.delete_container(container)
    yield Finding("storage account", "fine", "Containers and blobs can be made and deleted.")


def _check_signing(timeout_seconds: float) -> Iterator[Finding]:
    if problem := why_too_short(make_signer(timeout_seconds), timeout_seconds):
        yield Finding("signatures", "warning", problem)
    else:
        yield Finding("signatures", "fine", "Nodes can be given signatures for the run's files.")


def find_pool_problems(pool: PoolSpec) -> Iterator[Finding]:
    if read_cores(pool.vm_size) is None:
        # Which sizes there are only the management plane knows.
        told = f"{pool.vm_size} is not spelled as Azure's sizes are, such as STANDARD_D2S_V3: is it meant?"
        yield Finding("VM size", "warning", told)
    problem = why_too_many_slots(pool.vm_size, pool.slots_per_node)
    if problem is not None:
        yield Finding("task slots", "wrong", problem)


def find_space_problems(folder: Path, files: Sequence[InputFile]) -> Iterator[Finding]:
    """Whether outputs can be written, and have room, were each as large as its input."""
    try:
        nearest = next(one for one in (folder, *folder.parents) if _is_there(one))
        # What permissions say isn't all: a file system may be read-only, and of some nothing can be made.
        with tempfile.TemporaryFile(dir=nearest):
            free_bytes = shutil.disk_usage(nearest).free
    except OSError as error:
        yield Finding("output folder", "wrong", f"Nothing can be written to {folder}: {error.strerror}.")
        return
    size_bytes = sum(file.size_bytes for file in files)
    if free_bytes < max(size_bytes, LITTLE_SPACE_BYTES):
        yield Finding(
            "output folder",
            "warning",
            f"{nearest} has {free_bytes / 1e6:,.0f} MB left; the inputs have {size_bytes / 1e6:,.0f} MB.",
        )
    else:
        yield Finding("output folder", "fine", f"{nearest} has {free_bytes / 1e9:,.1f} GB left.")


def _is_there(path: Path) -> bool:
    """Also a link that leads nowhere. OSError where nothing can ever be: below a file, by a name too long."""
    with suppress(FileNotFoundError):
        return bool(os.lstat(path))
    return False
