"""What the local stack tells its Prefect server besides the deployments: its accounts, and the automations."""

import sys

from deployments.automations import apply, server
from deployments.errors import AutomationError
from tasks.blocks import save_accounts
from tasks.settings import read_accounts

ACCOUNTS = "local"
CLEANUP = "cleanup/local"


def register() -> None:
    """Keep the environment's accounts as blocks, which the dashboard then shows; apply the automations."""
    save_accounts(ACCOUNTS, read_accounts())
    with server() as client:
        for line in apply(client, CLEANUP):
            print(line)


if __name__ == "__main__":
    try:
        register()
    except AutomationError as error:
        sys.exit(str(error))
