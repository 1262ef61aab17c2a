"""What a command of ours loads before its first step, and how it sets up what it loads."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import gc, ssl, sys
import flows.command_line, flows.fan_out
gc.unfreeze()
contexts = [one for one in gc.get_objects() if isinstance(one, ssl.SSLContext)]
read = sum(super(ssl.SSLContext, one).cert_store_stats()["x509_ca"] for one in contexts)
drawing = [name for name in ("matplotlib", "numpy") if name in sys.modules]
words = [name for name in sys.modules if name.startswith("coolname.")]
print(len(contexts), read, drawing, words)
"""


def test_the_flows_load_nothing_that_a_run_may_not_need():
    """Neither certificates nor libraries that draw, nor words for names that Prefect's server chooses."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    contexts, *rest = run.stdout.split(" ", 1)
    assert int(contexts) > 0
    assert rest == ["0 [] []\n"]


TEMPLATE = """
version: 1
formatters:
  plain: {format: "${PREFECT_LOGGING_LEVEL} ${PREFECT_SERVER_LOGGING_LEVEL} ${PREFECT_API_URL} %(message)s"}
loggers:
  prefect: {level: "${PREFECT_INTERNAL_LOGGING_LEVEL}"}
"""
VARIABLES = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "DEBUG",
    "PREFECT_API_URL": "http://127.0.0.1:1/api",
}
SHOW_LOGGING = """
import json
from prefect.logging import configuration
print(json.dumps(configuration.PROCESS_LOGGING_CONFIG))
"""


def test_the_logging_is_set_up_as_prefect_itself_does_it(tmp_path: Path):
    """Also from a template of somebody's own, which may name any setting."""
    template = tmp_path / "logging.yml"
    template.write_text(TEMPLATE)
    variables = {**os.environ, **VARIABLES, "PREFECT_LOGGING_CONFIG_PATH": str(template)}
    ours, prefects = (set_up_logging(module, variables) for module in ("flows", "prefect.main"))
    assert ours == prefects
    assert ours["loggers"]["prefect"]["level"] == "DEBUG"
    assert ours["formatters"]["plain"]["format"] == "WARNING ERROR http://127.0.0.1:1/api %(message)s"


def set_up_logging(module: str, variables: dict[str, str]) -> dict[str, Any]:
    """What the import of a module makes of it."""
    program = f"import {module}\n{SHOW_LOGGING}"
    run = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(run.stdout)
