"""`python -m bench [NAME]`: measurements, each beside the limit that bounds it. Without a name, all."""

from __future__ import annotations

import argparse
import sys

from bench import emulator, fan_out

_MODULES = {"emulator": emulator, "fan_out": fan_out}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(required=True, metavar="NAME")
    for name, module in _MODULES.items():
        module.add_arguments(names.add_parser(name, help=(module.__doc__ or "").partition("\n")[0]))
    for arguments in [sys.argv[1:]] if sys.argv[1:] else [[name] for name in _MODULES]:
        given = parser.parse_args(arguments)
        given.run(given)


if __name__ == "__main__":
    main()
