"""Clean up behind a flow run that could not do it itself."""

from typing import Annotated
from uuid import UUID

from prefect import flow
from pydantic import Field

from tasks.cleanup import Deletion, clean_up_behind, find_remains
from tasks.errors import PermanentError
from tasks.leftovers.flow_runs import find_users, wait_for_end
from tasks.logs import run_logger
from tasks.prefect.observing import publish_table
from tasks.report.run_name import name_flow_run
from tasks.spec.naming import RunNames

ARTIFACT_KEY = "cleanup"


@flow(name="cleanup", flow_run_name="cleanup-{flow_run_id}")
def cleanup(flow_run_id: UUID, wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 120) -> list[Deletion]:
    """Delete what a flow run has left behind, as its own policy says.

    That includes pools that a flow of your own has provisioned. It can be called again and again: what is
    gone already is none of its business. It refuses a flow run that goes on, and one that another flow run
    with the same run key goes on with.

    Args:
        flow_run_id: The flow run to clean up behind. Its parameters say which resources those are, on which
            accounts, and which of them are to be deleted.
        wait_seconds: How long to wait for a flow run that is being cancelled.
    """
    ended = wait_for_end(flow_run_id, wait_seconds)
    _refuse_if_used(find_remains(ended).names)
    name_flow_run(f"cleanup: {ended.name}")
    run_logger().info("Cleaning up behind %s, which is %s", ended.name, ended.state_name)
    deletions = clean_up_behind(ended)
    _publish_deletions(deletions, f"What was deleted behind {ended.name} ({ended.state_name})")
    failed = [
        f"{deletion.thing}: {deletion.problem}" for deletion in deletions if deletion.outcome == "failed"
    ]
    if failed:
        raise PermanentError("\n".join(["Some resources could not be deleted.", *failed]))
    return deletions


def _refuse_if_used(names: RunNames) -> None:
    """Raise PermanentError if another flow run goes on with what an ended one had made."""
    users = find_users(names.key)
    if users:
        raise PermanentError(
            f"The flow run {users[0].name} ({users[0].id}) has the same run key, {names.key}, and has "
            f"not ended: nothing was deleted."
        )


def _publish_deletions(deletions: list[Deletion], description: str) -> None:
    for deletion in deletions:
        run_logger().info("%s: %s", deletion.thing.capitalize(), deletion.problem or deletion.outcome)
    rows = [
        {"what": deletion.thing, "outcome": deletion.outcome, "problem": deletion.problem}
        for deletion in deletions
    ]
    publish_table(rows, key=ARTIFACT_KEY, description=description)


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(cleanup))
