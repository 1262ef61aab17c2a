"""What names an account, as people copy it: mended where that is certain, and else refused in one line.

Nothing here shows a key, nor a text that may hold one.
"""

import base64
import re
from urllib.parse import SplitResult, urlsplit

from tasks.errors import SettingsError

NAME = re.compile(r"[a-z0-9_-]+")
LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|/|$)")
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-fA-F:]+")
AZURE_BATCH_HOST = re.compile(r"([^.]+)\.[^.]+\.batch\.(?:azure\.com|azure\.us|chinacloudapi\.cn)")
LIKE_A_KEY = re.compile(r"(?i)[a-z0-9+/]{40}|=$|key=|sig=|signature=")
BATCH_ENDPOINT = "https://ACCOUNT.REGION.batch.azure.com"
BLOB_ENDPOINT = "https://ACCOUNT.blob.core.windows.net"


def clean(value: str) -> str:
    """The value without what surrounds it: blanks, and quotes, which some readers of env files leave."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1].strip()
    return value


def with_scheme(endpoint: str) -> str:
    """The endpoint as a URL; the portal shows it without `https://`."""
    endpoint = clean(endpoint)
    if not re.search(r"[.:/]", endpoint):
        # The account's name, mostly, which is no host of its own.
        return endpoint
    scheme = "" if "://" in endpoint else "http://" if LOOPBACK.match(endpoint) else "https://"
    # In hosts capitals are as small letters, but not in the name that signs, which is taken from there.
    return re.sub(r"^\w+://[^/]*", lambda host: host[0].lower(), f"{scheme}{endpoint}").rstrip("/")


def blob_endpoint(account: str | None) -> str | None:
    """The URL of a storage account's blobs, of which the name may be given, or the host."""
    account = clean(account or "")
    if not account:
        return None
    is_name = not re.search(r"[.:/]", account)
    return with_scheme(f"{account}.blob.core.windows.net" if is_name else account)


def _parse_connection_string(text: str) -> dict[str, str]:
    """The settings of a connection string, their names in lower case."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def check_key(key: str | None, place: str) -> None:
    try:
        base64.b64decode(key or "", validate=True)
    except ValueError:
        raise SettingsError(
            f"{_begin(place)} is no key: one is base64, mostly 88 characters that end in ==. "
            f"Copy it again, whole."
        ) from None


def check_name(name: str | None, place: str) -> None:
    if not name or NAME.fullmatch(name):
        return
    alone = re.sub(r"^\w+://|[.:/].*", "", name).lower()
    is_meant = NAME.fullmatch(alone) and not LIKE_A_KEY.search(name)
    meant = f" Is {alone} meant?" if is_meant else ""
    raise SettingsError(
        f"{_begin(place)} is {_show(name)}, which is no account's name: these have small letters and "
        f"digits.{meant}"
    )


def check_batch_endpoint(endpoint: str, account: str | None, place: str) -> None:
    """Raise SettingsError for what can be no endpoint of Batch, or is that of another account."""
    if not endpoint:
        return
    host = _check_url(endpoint, place, BATCH_ENDPOINT)
    if ".blob.core." in host:
        raise SettingsError(f"{_begin(place)} is {endpoint}, of blob storage. Batch has {BATCH_ENDPOINT}.")
    own = AZURE_BATCH_HOST.fullmatch(host)
    if own and account and NAME.fullmatch(account) and own[1] != account:
        raise SettingsError(
            f"{_begin(place)} is {endpoint}, of the account {own[1]}, and the account's name is given as "
            f"{account}."
        )


def check_blob_endpoint(endpoint: str | None, place: str) -> None:
    if not endpoint:
        return
    host = _check_url(endpoint, place, BLOB_ENDPOINT)
    of_files = re.fullmatch(r"([^.]+)\.(?:dfs|file|queue|table|web)\.(core\..+)", host)
    if of_files:
        raise SettingsError(
            f"{_begin(place)} is {endpoint}, where blobs are not. Is {of_files[1]}.blob.{of_files[2]} meant?"
        )
    if host.endswith(".blob.core.windows.net"):
        check_name(host.partition(".")[0], place)


def _check_url(endpoint: str, place: str, example: str) -> str:
    """The URL's host, in small letters. Raises SettingsError for a URL that can lead nowhere."""
    parts = _split(endpoint)
    host = (parts.hostname if parts else None) or ""
    is_azure = host.endswith((".azure.com", ".windows.net"))
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not HOST.fullmatch(host)
        or host in ("http", "https")
        or parts.netloc.endswith(":")
        or parts.query
        or parts.fragment
        or (is_azure and parts.scheme == "http")
    ):
        raise SettingsError(f"{_begin(place)} is {_show(endpoint)}, which is no endpoint; one is {example}")
    return host


def _split(endpoint: str) -> SplitResult | None:
    try:
        parts = urlsplit(endpoint)
        # Raises for what is no number.
        _ = parts.port
    except ValueError:
        return None
    return parts


def check_connection_string(text: str | None, place: str) -> None:
    """Raise SettingsError for one that is broken, or with which nothing can be signed for the nodes."""
    if not text:
        return
    said = _parse_connection_string(text)
    if said.get("usedevelopmentstorage"):
        return
    check_key(said.get("accountkey"), f"the AccountKey of {place}")
    missing = [name for name in ("AccountName", "AccountKey") if not said.get(name.lower())]
    if missing or not text.isprintable():
        raise SettingsError(
            f"{_begin(place)} can't be read, or lacks {' and '.join(missing) or 'a part'}: it is one line, "
            "AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net. Copy it again, whole."
        )
    check_name(said["accountname"], f"the AccountName of {place}")


def _show(value: str) -> str:
    return "what looks like a key" if LIKE_A_KEY.search(value) else repr(value)


def _begin(place: str) -> str:
    return f"{place[0].upper()}{place[1:]}"
