"""The Prefect server of a run in a terminal that names none: what strikes the run does not strike it.

Prefect starts it in the run's own process group and ends it when Python exits. So Ctrl-C in a terminal, which
strikes a whole group, took the server from a run that was still cleaning up, and one that was killed left its
server behind for ever.
"""

import os
import subprocess
import sys
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings

# The run holds the other end of its standard input, and nobody writes to it: it ends when the run does.
TIED = """
import os, runpy, signal, threading, time

def _end_with_the_run():
    os.read(0, 1)
    # Nobody waits for what its services say of being broken off.
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)

threading.Thread(target=_end_with_the_run, daemon=True).start()
runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)
"""
# As Prefect starts it.
UVICORN = ["--factory", "prefect.server.api.server:create_app", "--log-level", "error", "--lifespan", "on"]
VARIABLES = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}


class TemporaryServer(SubprocessASGIServer):
    """Prefect starts the first one that was made, once it needs a server."""

    def _run_uvicorn_command(self) -> "subprocess.Popen[Any]":
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        return subprocess.Popen(
            [sys.executable, "-c", TIED, *UVICORN, "--host", "127.0.0.1", "--port", str(self.port)],
            env={**os.environ, **VARIABLES, **settings},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def stop(self) -> None:
        process = self.server_process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        super().stop()
