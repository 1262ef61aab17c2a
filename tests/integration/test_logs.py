"""What the libraries say of their requests: nothing, unless the page's variables are set."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.documentation import REPOSITORY

PAGE = (REPOSITORY / "docs" / "howto" / "failed-run.md").read_text(encoding="utf-8")
SAID = dict(re.findall(r"`(PREFECT_LOGGING_\w+)=(\w+)`", PAGE))
PROGRAM = """
import logging
import prefect.main
logger = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
handlers = {type(handler).__name__ for handler in logging.getLogger("azure").handlers}
print(logger.isEnabledFor(logging.INFO), "APILogHandler" in handlers)
"""


@pytest.mark.parametrize(
    ("variables", "shown"), [({}, "False False"), pytest.param(SAID, "True True", marks=pytest.mark.soak)]
)
def test_the_libraries_are_quiet_until_they_are_asked(variables, shown):
    """By default their requests are in no log; as the page says they are in the terminal and with the run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_LOGGING_")}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**kept, **variables}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == shown
