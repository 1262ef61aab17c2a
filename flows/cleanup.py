"""Clean up behind a flow run that could not do it itself."""

from typing import Annotated
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_table_artifact
from pydantic import Field

from tasks.cleanup import Deed, clean_up_behind, remains_of
from tasks.errors import PermanentError
from tasks.leftovers.flow_runs import users_of, wait_for_end
from tasks.logs import run_logger
from tasks.spec.naming import RunNames

ARTIFACT_KEY = "cleanup"


@flow(name="cleanup", flow_run_name="cleanup-{flow_run_id}")
def cleanup(flow_run_id: UUID, wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 120) -> list[Deed]:
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
    refuse_if_used(remains_of(ended).names)
    run_logger().info("Cleaning up behind %s, which is %s", ended.name, ended.state_name)
    deeds = clean_up_behind(ended)
    publish(deeds, f"What became of what {ended.name} ({ended.state_name}) had made")
    failed = [f"{deed.thing}: {deed.problem}" for deed in deeds if deed.outcome == "failed"]
    if failed:
        raise PermanentError("\n".join(["Not all could be cleaned up.", *failed]))
    return deeds


def refuse_if_used(names: RunNames) -> None:
    """Raise PermanentError if another flow run goes on with what an ended one had made."""
    users = users_of(names.key)
    if users:
        raise PermanentError(
            f"The flow run {users[0].name} ({users[0].id}) goes on with the run {names.key}: "
            f"nothing was deleted."
        )


def publish(deeds: list[Deed], description: str) -> None:
    for deed in deeds:
        run_logger().info("%s: %s", deed.thing.capitalize(), deed.problem or deed.outcome)
    rows = [{"what": deed.thing, "outcome": deed.outcome, "problem": deed.problem} for deed in deeds]
    create_table_artifact(rows, key=ARTIFACT_KEY, description=description)
