"""`python -m bench [NAME]`: measurements, each beside the limit that bounds it.

Without a name: the figures that the project has set itself, written to bench/results/.
"""

from __future__ import annotations

import argparse
import sys

from bench import emulator, fan_out, figures, makespan, words
from deployments.supervisor import interrupted_by_signals

_MODULES = {
    "figures": figures,
    "emulator": emulator,
    "fan_out": fan_out,
    "makespan": makespan,
    "words": words,
}


def parse(given: list[str]) -> argparse.Namespace:
    """What the arguments ask for; without a name, all figures."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = parser.add_subparsers(required=True, metavar="NAME")
    for name, module in _MODULES.items():
        described = names.add_parser(
            name,
            help=(module.__doc__ or "").partition("\n")[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(described)
    is_named = bool(given) and (given[0] in _MODULES or given[0] in ("-h", "--help"))
    return parser.parse_args(given if is_named else ["figures", *given])


def main() -> None:
    arguments = parse(sys.argv[1:])
    # A signal ends what runs, once: what is then being stopped is not left behind by another one.
    with interrupted_by_signals():
        arguments.run(arguments)


if __name__ == "__main__":
    main()
