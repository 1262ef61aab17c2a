"""`python -m bench NAME`: measurements, each beside the limit that bounds it."""

from __future__ import annotations

import argparse

from bench import emulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = parser.add_subparsers(required=True, metavar="NAME")
    emulator.add_arguments(names.add_parser("emulator", help=emulator.__doc__.splitlines()[0]))
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
