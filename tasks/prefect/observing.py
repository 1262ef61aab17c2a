"""Watching a run is not its work: what tells how it goes is left out where it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from tasks.base.printable import Markup, make_inert, make_printable
from tasks.logs import run_logger


@contextmanager
def left_out_on_failure(what: str) -> Iterator[None]:
    """Go on behind the block if it fails, with one line in the log that says what is left out and why."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        run_logger().warning("%s is left out: %s: %s", what, type(error).__name__, reason)


def publish_markdown(markdown: str, key: str, description: str) -> UUID | None:
    """Make a Prefect artifact of a text; its id, or None where the server takes none, which the log says."""
    text, told = make_printable(markdown), make_inert(description)
    with left_out_on_failure(f"The artifact {key}"):
        return cast(UUID, create_markdown_artifact(text, key=key, description=told))
    return None


def publish_table(rows: list[dict[str, Any]], key: str, description: str) -> None:
    """Make a Prefect artifact of a table; a server that takes none becomes a line in the log. Of its cells
    those alone are Markdown that are `Markup`."""
    with left_out_on_failure(f"The artifact {key}"):
        table: Any = [{column: _show(value) for column, value in row.items()} for row in rows]
        create_table_artifact(table, key=key, description=make_inert(description))


def _show(value: Any) -> Any:
    if isinstance(value, Markup):
        return str(value)
    return make_inert(value) if isinstance(value, str) else value
