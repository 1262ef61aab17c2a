"""Places in blob storage, as people write them: `az://container/prefix/**`, or a URL as the portal shows."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qsl, quote, unquote

from tasks.errors import InputError
from tasks.spec.file_names import why_no_characters

SCHEME = re.compile(r"(az|abfss?|wasbs?|https?)://", re.IGNORECASE)
# REST documentation, "Naming and referencing containers, blobs, and metadata".
CONTAINER = re.compile(r"\$(root|web|logs)|(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
PORTAL = "portal.azure.com"


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """A blob, a prefix or a glob in a container."""

    account: str
    """The URL of the storage account, with no slash at its end."""

    container: str
    name: str = ""

    @property
    def url(self) -> str:
        return f"{self.account}/{self.container}/{quote(self.name, safe='/~')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputBlob(BlobPlace):
    """An input that is in blob storage already, as it was when it was listed."""

    etag: str
    size_bytes: int


def is_place(text: str) -> bool:
    """Whether a source is a place in blob storage, and no path."""
    return SCHEME.match(text) is not None


def read_place(text: str, own: str, others: Iterable[str] = ()) -> BlobPlace:
    """The place that is meant. `own` is the URL of the run's own storage account, which `az://` is on.

    Raises InputError for what is none, and for a URL on an account that is neither the own nor one of the
    `others`.
    """
    refuse_signature(text)
    scheme, _, rest = text.partition("://")
    # fsspec's `az://container@account.blob.core.windows.net/...`; without an account it is the run's own.
    first, slash, below = rest.partition("/")
    container, at, host = first.partition("@")
    if scheme.lower() in ("http", "https"):
        return _read_url(text, rest, own, others)
    if at:
        return _read_url(text, f"{host}/{container}{slash}{quote(below, safe='/~*?[]')}", own, others)
    return _check(text, BlobPlace(own, container, below))


def _read_url(text: str, rest: str, own: str, others: Iterable[str]) -> BlobPlace:
    path, _, query = rest.partition("?")
    if "=" in query:
        _refuse_query(text, query)
    host, _, below = path.partition("/")
    whole = f"{host.lower().replace('.dfs.', '.blob.', 1)}/{below}"
    for account in (own, *others):
        address = account.partition("://")[2].lower().rstrip("/")
        if whole == address or whole.startswith(f"{address}/"):
            name = whole[len(address) + 1 :] + (f"?{query}" if query else "")
            container, _, blob = unquote(name).partition("/")
            return _check(text, BlobPlace(account.rstrip("/"), container, blob))
    raise InputError(_explain_other(text, whole))


def refuse_signature(text: str) -> None:
    """Raise InputError for a URL with a signature in it."""
    plain, _, query = text.partition("?")
    if is_place(text) and any(name.lower() == "sig" for name, _ in parse_qsl(query)):
        raise InputError(
            f"{plain} has a signature, and Prefect records parameters. Leave out all from the ? on: what is "
            f"on the run's own storage account is signed for; name the block of another one in "
            f"storage_accounts."
        )


def _refuse_query(text: str, query: str) -> NoReturn:
    """Raise InputError for the parts of a URL that say more than where something is."""
    names, plain = {name.lower() for name, _ in parse_qsl(query)}, text.partition("?")[0]
    if names & {"snapshot", "versionid"}:
        raise InputError(
            f"{text} is a snapshot or a version of a blob, which can't be an input. Copy it to a blob of its "
            f"own, or leave out all from the ? on: then the blob is taken as it is now."
        )
    raise InputError(f"{plain} has a query, {query!r}: leave out all from the ? on.")


def _explain_other(text: str, whole: str) -> str:
    host = whole.partition("/")[0]
    if host == PORTAL:
        return f"{text} is a page of the portal. Give the URL that it shows among a blob's properties."
    if ".blob." not in host and not _is_path_style(host):
        return (
            f"{text} is no place in blob storage: that is "
            f"https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME or az://CONTAINER/NAME."
        )
    return (
        f"{text} is not on the run's own storage account. Name the block of its account in storage_accounts, "
        f"such as ['archive']: an azure-storage-account/archive says how to sign in there."
    )


def _is_path_style(host: str) -> bool:
    """Whether it is a host by its address, on which the account is the first part of the path."""
    name = host.rpartition(":")[0] or host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name == "localhost"
    return True


def _check(text: str, place: BlobPlace) -> BlobPlace:
    if not place.container:
        raise InputError(f"{text} names no container: write az://CONTAINER/NAME.")
    if not CONTAINER.fullmatch(place.container):
        raise InputError(
            f"{text}: {place.container!r} can't be the name of a container, which has 3 to 63 lower-case "
            f"letters, digits and single hyphens, and no wildcards."
        )
    name = place.name.strip("/")
    if name and (reason := why_no_characters(name)):
        raise InputError(f"{text!r}: the name {name!r} {reason}.")
    return place
