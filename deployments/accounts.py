"""Keep accounts as Prefect blocks: `python -m deployments.accounts save prod`.

The accounts are those of the environment, by the variables that the Azure CLI uses too; from then on a flow's
parameter `accounts`, say `prod`, stands for them.
"""

import argparse
import sys
from collections.abc import Sequence

from tasks.azure.accounts import read_accounts
from tasks.azure.blocks import BLOCK_TYPES, save_accounts
from tasks.errors import SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        save_accounts(options.name, read_accounts())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Saved {' and '.join(f'{kind.get_block_type_slug()}/{options.name}' for kind in BLOCK_TYPES)}")
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="python -m deployments.accounts", description=(__doc__ or "").partition("\n")[0]
    )
    commands = root.add_subparsers(required=True)
    save = commands.add_parser("save", help="keep the environment's accounts under a name")
    save.add_argument("name", help="what the flows' parameter `accounts` will call them")
    return root


if __name__ == "__main__":
    sys.exit(main())
