"""What the local stack tells its Prefect server: the deployments, its accounts, and the automations."""

import sys

import flows.fan_out  # noqa: F401  # All that the deployments' flows import, while the server starts.
from deployments.automations import apply, server
from deployments.errors import AutomationError
from deployments.local.prefect_when_ready import run_prefect
from deployments.local.settings import PREFECT_FILE
from tasks.azure.accounts import read_accounts
from tasks.azure.blocks import save_accounts

ACCOUNTS = "local"
CLEANUP = "cleanup/one-run"
DEPLOY = ["--no-prompt", "deploy", "--all", "--prefect-file", str(PREFECT_FILE)]


def main() -> int:
    """Deploy as a user does, then register the rest; return the exit code."""
    exit_code = run_prefect(DEPLOY)
    if exit_code == 0:
        register()
    return exit_code


def register() -> None:
    """Keep the environment's accounts as blocks, which the dashboard then shows; apply the automations."""
    save_accounts(ACCOUNTS, read_accounts())
    with server() as client:
        for line in apply(client, CLEANUP):
            print(line)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AutomationError as error:
        sys.exit(str(error))
