"""What the service's log does not say."""

import logging
import sys

import pytest

from batch_emulator.logs import Redacting


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (
            "GET http://h/c/b?sv=2021&sig=aB%2F12%3D&se=1 failed",
            "GET http://h/c/b?sv=2021&sig=...&se=1 failed",
        ),
        ("{'url': 'http://h/b?sig=abc'}", "{'url': 'http://h/b?sig=...'}"),
        ("Authorization: SharedKey account:c2lnbmF0dXJl=", "Authorization: SharedKey account:..."),
        ("Authorization: Bearer a.b.c", "Authorization: Bearer ..."),
        ("a task that is signed off", "a task that is signed off"),
    ],
)
def test_secrets_are_taken_out(text, written):
    """Signatures, of URLs and of requests, and tokens are not written; the rest is."""
    record = logging.LogRecord("x", logging.INFO, __file__, 1, text, None, None)
    assert Redacting("%(message)s").format(record) == written


def test_tracebacks_are_looked_through():
    """What an exception says is held to the same."""
    try:
        raise ValueError("http://h/b?sig=abc")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "broken", None, sys.exc_info())
    text = Redacting("%(message)s").format(record)
    assert "sig=..." in text
    assert "sig=abc" not in text
