"""The log of the service's own process. Nothing in it is to be secret; what could slip in is taken out."""

from __future__ import annotations

import logging
import re
import sys

# The signature of a SAS in a URL, and what stands in an Authorization header.
_SECRET = re.compile(r"(\bsig=|\bSharedKey [^:\s]+:|\bBearer )[^&\s'\"]+", re.IGNORECASE)


class Redacting(logging.Formatter):
    """Writes records without the secrets in them, those of tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return _SECRET.sub(r"\1...", super().format(record))


def set_up_log(level: int) -> None:
    """Log to stderr; `level` is that of the service's own messages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("batch_emulator").setLevel(level)
    # It would write a line for each request of a node, with its whole URL.
    logging.getLogger("httpx").setLevel(logging.WARNING)
