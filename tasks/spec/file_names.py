"""Which names files can have: in storage, on the nodes, and of an output on the local disk."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from tasks.spec.naming import LOGS, RUN_KEY_MAX, name_log

# Limits of blob names (REST documentation, "Naming and referencing containers, blobs, and metadata").
# The blob of a file has the MD5 of its content as a folder before the name.
BLOB_MAX_CHARACTERS = 1024
NAME_MAX_CHARACTERS = BLOB_MAX_CHARACTERS - 33
NAME_MAX_SEGMENTS = 254 - 1
# Linux: of one part of a path, and of the whole, of which a task's own folder on a node takes some.
PART_MAX_BYTES = 255
PATH_MAX_BYTES = 4095
NAME_MAX_BYTES = 3500
# What else a plain name may have that can't be: a backslash, a part that ends in a dot, one without a name.
_ODD = re.compile(r"\\|\.(?:/|\Z)|(?:\A|/)(?:/|\Z)")


def find_bad_names(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        reason = why_no_blob_name(name)
        if reason:
            yield f"{name!r} {reason}"


def why_no_blob_name(name: str) -> str | None:
    """Why a relative path can't be a blob's name and a path on a node, or None if it can."""
    if _is_plain(name) and not _ODD.search(name):
        return None
    segments = name.split("/")
    if reason := why_no_characters(name):
        return reason
    if long := _why_too_long_part(segments):
        return long
    if len(name) > NAME_MAX_CHARACTERS or len(segments) > NAME_MAX_SEGMENTS:
        return f"is longer than {NAME_MAX_CHARACTERS} characters or {NAME_MAX_SEGMENTS} folders"
    if len(name.encode()) > NAME_MAX_BYTES:
        return f"is longer than {NAME_MAX_BYTES} bytes, for which a node's paths have no room"
    return None


def why_no_characters(name: str) -> str | None:
    """Why a name of whatever length can't be a blob's and a relative path, or None if it can."""
    categories = set() if name.isprintable() else {unicodedata.category(character) for character in name}
    if "Cc" in categories:
        return "has a control character"
    if "Cs" in categories:
        return "is not UTF-8"
    if "Co" in categories or ("Cn" in categories and any(map(_is_noncharacter, name))):
        return "has a private character or one that is none in Unicode, which storage does not take"
    if "\\" in name:
        return "has a backslash, which storage reads as a folder"
    if any(segment.endswith(".") for segment in name.split("/")):
        return "has a part that ends in a dot, which storage drops"
    if "" in name.split("/"):
        return "has a part without a name, which no folder on a node can be called"
    return None


def _is_plain(name: str) -> bool:
    """Whether it is as short as a part of it may be, and of nothing but printable ASCII: most are."""
    return len(name) <= PART_MAX_BYTES and name.isascii() and name.isprintable()


def _is_noncharacter(character: str) -> bool:
    """Of these an XML document, which a listing of blobs is, can hold none."""
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"


def _why_too_long_part(parts: list[str]) -> str | None:
    """Why one of the parts can be no file's name, on a node or on the local disk."""
    long = max(len(part.encode()) for part in parts)
    if long > PART_MAX_BYTES:
        return f"has a part of {long} bytes; a file's name may have {PART_MAX_BYTES}"
    return None


def why_too_long_below(prefix: str, name: str, output_name: str) -> str | None:
    """Why an output, or a log of its input, can't be a blob below a prefix, or None if it can."""
    log = prefix + name_log("k" * RUN_KEY_MAX, name, LOGS[0])
    longest = max(len(f"{prefix}{output_name}"), len(log))
    if longest > BLOB_MAX_CHARACTERS or log.count("/") > NAME_MAX_SEGMENTS:
        return f"is too long below {prefix!r}: with its logs, a blob's name has {longest} characters"
    return None


def why_no_local_path(folder: str, name: str) -> str | None:
    """Why an output can't be a file in the folder, or None if it can."""
    if not _is_plain(name) and (long := _why_too_long_part(name.split("/"))):
        return long
    if len(f"{folder}/{name}".encode()) > PATH_MAX_BYTES:
        return f"makes a path of more than {PATH_MAX_BYTES} bytes in the output folder"
    return None
