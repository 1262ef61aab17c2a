"""Secrets of Prefect's blocks, read when they are sent, and from then on hidden in all that is shown."""

from collections.abc import Mapping

from prefect.blocks.system import Secret

from tasks.base.hidden import hide_from_now_on
from tasks.errors import SettingsError


def read_secret(name: str, what: str) -> str:
    """The text that the block has. Raises SettingsError if it isn't there, or has something else."""
    try:
        found = Secret.load(name, _sync=True).get()  # pyright: ignore[reportCallIssue]
    except ValueError as error:
        raise SettingsError(
            f"There is no block secret/{name} that can be read. Make it in Prefect's dashboard, with {what}."
        ) from error
    if not isinstance(found, str) or "\0" in found:
        raise SettingsError(f"The block secret/{name} is to have {what}, as a text: it has something else.")
    hide_from_now_on(found)
    return found


def read_secrets(blocks: Mapping[str, str]) -> dict[str, str]:
    """What variables are to have, by their names, from the names of their blocks. Keep it nowhere.

    Raises SettingsError.
    """
    return {name: read_secret(block, f"what {name} is to be") for name, block in blocks.items()}
