"""What a command of ours loads before its first step."""

import subprocess
import sys

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
