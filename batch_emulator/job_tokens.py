"""Access tokens that a task is given for the operations on its own job (`authenticationTokenSettings`).

A token is a JSON Web Token, signed with the account's key, that names the job; it is good for as long as
there is a job of that id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

_HEADER = {"alg": "HS256", "typ": "JWT"}
_CLAIM = "batchJobId"


def issue_token(key: str, job_id: str) -> str:
    """A token for the operations on a job; `key` is the account's, base64."""
    unsigned = f"{_encode(json.dumps(_HEADER).encode())}.{_encode(json.dumps({_CLAIM: job_id}).encode())}"
    return f"{unsigned}.{_sign(base64.b64decode(key), unsigned)}"


def read_token(key_bytes: bytes, token: str) -> str | None:
    """The id of the job that a token is for; None if it is not signed with this account's key."""
    unsigned, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_sign(key_bytes, unsigned).encode(), signature.encode()):
        return None
    return json.loads(_decode(unsigned.partition(".")[2]))[_CLAIM]


def _sign(key_bytes: bytes, unsigned: str) -> str:
    return _encode(hmac.digest(key_bytes, unsigned.encode(), hashlib.sha256))


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
