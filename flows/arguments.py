"""What the shell hands to a flow, before it is read as options."""

from collections.abc import Sequence


def spell_inputs(arguments: Sequence[str]) -> list[str]:
    """The arguments with `@-` for `-`, which else would be taken for an option."""
    return ["@-" if argument == "-" else argument for argument in arguments]


def find_other_bytes(arguments: Sequence[str]) -> str | None:
    """What is wrong with an argument whose bytes are no text: Prefect could record no such parameter."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            return f"{argument!r} is not UTF-8, as parameters and names of files have to be: rename it."
    return None
