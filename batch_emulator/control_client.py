"""The control API from Python: what is to go wrong in a running local Batch service.

Each function takes the `Account` of the service, and raises httpx.HTTPStatusError with the reason in its text
where the service refuses.
"""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from batch_emulator.faults.rules import Faults
from batch_emulator.server import Account


def put_faults(account: Account, faults: Faults) -> None:
    """Replace the rules of a service; what they have struck is counted anew."""
    _request(account, "PUT", "faults", faults.model_dump(mode="json", by_alias=True, exclude_none=True))


def clear_faults(account: Account) -> None:
    """Let nothing go wrong any more."""
    _request(account, "DELETE", "faults")


def count_faults(account: Account) -> dict[str, list[int]]:
    """How often each rule has struck, by kind (`requests`, `nodes`, `startTasks`, ...), in their order."""
    return _request(account, "GET", "faults").json()["struck"]


def strike_node(account: Account, pool_id: str, node_id: str, event: str, **request: Any) -> str:
    """Let a node be preempted or lost, break, have its disk full or recover; returns its new state.

    `event` is `preempt`, `lose`, `break`, `filldisk` or `recover`. `request` may have `recoverSeconds` and
    `errors`, the node's own, for `lose` and `break`.
    """
    return _request(account, "POST", f"pools/{pool_id}/nodes/{node_id}/{event}", request).json()["state"]


def _request(account: Account, method: str, path: str, body: Any = None) -> httpx.Response:
    with httpx.Client(verify=_trust(account), trust_env=False) as client:
        answer = client.request(method, f"{account.endpoint}/_emulator/{path}", json=body)
    if answer.is_error:
        message = f"{answer.status_code} of {method} {path}: {answer.text}"
        raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
    return answer


def _trust(account: Account) -> ssl.SSLContext | bool:
    if account.certificate is None:
        # Plain HTTP: there is no certificate to look at.
        return False
    return ssl.create_default_context(cafile=str(account.certificate))
