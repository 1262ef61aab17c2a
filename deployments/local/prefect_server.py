"""Prefect's server behind its front door: `python -m deployments.local.prefect_server PORT`, on 127.0.0.1."""

import sys

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings

from deployments.local.front_door import behind_front_door


def main(port: int) -> None:
    """Serve until SIGINT or SIGTERM, in the way of `prefect server start`."""
    api = get_current_settings().server.api
    uvicorn.run(
        behind_front_door(create_app(final=True), port),
        host="127.0.0.1",
        port=port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(),
        access_log=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
