"""What tells a page in a browser from a client: no page may use the service, of whatever site it is.

Everybody knows the default key, so a page could sign with it. It can't hide where it is from: a browser sends
the page's `Origin` with all that could change something, and as `Host` the name that it looked the address up
by, also where that name has been rebound to this machine since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from batch_emulator.errors import BatchError
from batch_emulator.settings import is_loopback

_PORT = re.compile(r":\d+$")


def refuse_pages(headers: Mapping[str, str], served_host: str) -> None:
    """403 for a request that a page has sent, or that names another host than the loopback address served."""
    if "origin" in headers:
        raise forbidden("The local Batch service answers no page of a browser (Origin)")
    if is_loopback(served_host) and not is_loopback(read_host(headers)):
        raise forbidden("The local Batch service answers by a loopback address only (Host)")


def read_host(headers: Mapping[str, str]) -> str:
    """The host that a request names, without its port."""
    return _PORT.sub("", headers.get("host", ""))


def forbidden(reason: str) -> BatchError:
    return BatchError("Forbidden", ("Reason", reason))
