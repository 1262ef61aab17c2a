"""Inputs that are in blob storage already: found, checked, and read by the nodes alone.

Nothing here reads a blob's content.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tasks.azure import blobs
from tasks.azure.blobs import Blob
from tasks.azure.places import describe_no_container, find_at
from tasks.azure.sas import make_signer
from tasks.azure.storage_accounts import at_account, find_other_accounts
from tasks.base.deadlines import first_call
from tasks.errors import InputError, NotFoundError
from tasks.sharding import in_threads
from tasks.spec.blob_places import BlobPlace, InputBlob, read_place
from tasks.spec.inputs import is_left_out
from tasks.spec.output_places import OutputPlace
from tasks.spec.patterns import TAKEN, WILDCARDS, LeftOut, Pattern, read_remote_pattern
from tasks.spec.sources import Sources, name_file, refuse_problems

SIGNED_SECONDS = 60
FOLDER_ENTRY = "the entry of a folder"
OUTPUTS = "in the output folder"
ARCHIVED = (
    "can't be read in the archive tier. Bring them to another tier "
    "(az storage blob set-tier --tier Hot), which takes up to 15 hours, or leave them out"
)
# What an account with hierarchical names says of a folder, which it lists like a blob.
FOLDER_METADATA = "hdi_isfolder"


class BlobFinder:
    """Finds inputs in blob storage; those at the place of the outputs are none."""

    def __init__(self, outputs: OutputPlace | None = None):
        self.outputs = outputs
        self.archived: list[str] = []

    def __call__(self, texts: Sequence[str], are_plain: bool, found: Sources) -> None:
        """Add the blobs that these places mean to what was found; plain ones are taken at their word.

        Raises InputError for what isn't there or can't be read, AccessError where that is not allowed.
        """
        own = blobs.locate_account()
        places = [read_place(text, own, find_other_accounts()) for text in texts]
        with first_call():
            for account in sorted({place.account for place in places}):
                with at_account(account):
                    _see_that_it_signs()
            if are_plain:
                self._add_plain(places, found)
            else:
                for place in places:
                    self._add_place(place, found)
        refuse_problems(self.archived, "input", ARCHIVED)

    def _add_plain(self, places: Sequence[BlobPlace], found: Sources) -> None:
        there = in_threads(find_at, places)
        refuse_problems(
            [
                f"{place.url} is {'not there' if blob is None else 'a folder'}"
                for place, blob in zip(places, there, strict=True)
                if blob is None or _is_folder(place.name, blob)
            ],
            "blob",
            "in a list of inputs can't be found",
        )
        for place, blob in zip(places, there, strict=True):
            if blob is not None:
                self._add(found, place.name, place, blob)

    def _add_place(self, place: BlobPlace, found: Sources) -> None:
        """A blob of that very name, whatever characters it has; else a prefix or a glob."""
        blob = _find_named(place)
        if blob is not None:
            self._add(found, place.name.rpartition("/")[2], place, blob)
            return
        left_out, before, pattern = LeftOut(), len(found.named), read_remote_pattern(place.name)
        root = BlobPlace(place.account, place.container, f"{pattern.root}/" if pattern.root else "")
        found.blob_patterns.append((root, pattern))
        excluded = self.outputs.prefix if self.outputs and is_left_out(self.outputs, root) else None
        with at_account(place.account):
            for name, one in _list_matching(root, pattern, left_out):
                if excluded and name.startswith(excluded):
                    left_out.add(OUTPUTS, name)
                else:
                    self._add(found, name[len(root.name) :], replace(root, name=name), one)
        if len(found.named) == before and not self.archived:
            raise InputError(_describe_nothing(place, left_out))
        _see_that_it_reads(found, before)
        for reason, count in left_out.counts.items():
            found.left_out.counts[reason] += count
            found.left_out.firsts.setdefault(reason, left_out.firsts[reason])

    def _add(self, found: Sources, name: str, place: BlobPlace, blob: Blob) -> None:
        if blob.is_archived:
            self.archived.append(place.url)
            return
        url = place.url
        found.named.append(name_file(name, url))
        found.blobs[url] = InputBlob(
            place.account, place.container, place.name, etag=blob.etag, size_bytes=blob.size_bytes
        )


def _see_that_it_signs() -> None:
    """Raise AccessError where no signatures can be made for the nodes."""
    make_signer(SIGNED_SECONDS)


def _see_that_it_reads(found: Sources, before: int) -> None:
    """Ask for the first blob that was found without its content: who may list need not be allowed to read."""
    for file in found.named[before : before + 1]:
        find_at(found.blobs[file.path])


def _find_named(place: BlobPlace) -> Blob | None:
    """The blob of that very name, if there is one that is no folder."""
    if not place.name or place.name.endswith("/"):
        return None
    blob = find_at(place)
    return None if blob is None or _is_folder(place.name, blob) else blob


def _is_folder(name: str, blob: Blob) -> bool:
    is_marked = blob.metadata.get(FOLDER_METADATA, "").lower() == "true"
    return is_marked or (name.endswith("/") and not blob.size_bytes)


def _list_matching(root: BlobPlace, pattern: Pattern, left_out: LeftOut) -> Iterator[tuple[str, Blob]]:
    """The blobs below a prefix that a glob means. A page at a time."""
    try:
        for name, blob in blobs.list_blobs(root.container, root.name + _read_fixed(pattern)):
            is_folder = _is_folder(name, blob)
            reason = FOLDER_ENTRY if is_folder else pattern.judge(name[len(root.name) :])
            if reason == TAKEN:
                yield name, blob
            elif reason:
                left_out.add(reason, name)
    except NotFoundError:
        raise InputError(describe_no_container(root)) from None


def _read_fixed(pattern: Pattern) -> str:
    """What the names begin with that the first part of a glob takes."""
    first = pattern.parts[0]
    return first[: next((index for index, sign in enumerate(first) if sign in WILDCARDS), len(first))]


def _describe_nothing(place: BlobPlace, left_out: LeftOut) -> str:
    what = f"is or matches {place.name}" if place.name else "is there"
    problem = f"In the container {place.container} of {place.account} no blob {what}."
    return f"{problem} Left out: {left_out}." if left_out.counts else problem
