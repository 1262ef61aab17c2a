"""Requests signed with a Batch account's key: by the page, and not by what the local service makes of it."""

import base64
import hashlib
import hmac

_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


def authorize(
    account: str, key: str, method: str, path: str, query: dict[str, str], headers: dict[str, str]
) -> str:
    """The value of the header `authorization`; names of `headers` are in lower case, `path` is as it is sent.

    Source: REST documentation page "Authenticate Requests to the Azure Batch Service".
    """
    lines = [method, *(headers.get(name, "") for name in _SIGNED)]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("ocp-")]
    lines.append(f"/{account}{path}")
    lines += [f"{name.lower()}:{query[name]}" for name in sorted(query, key=str.lower)]
    digest = hmac.digest(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256)
    return f"SharedKey {account}:{base64.b64encode(digest).decode()}"
