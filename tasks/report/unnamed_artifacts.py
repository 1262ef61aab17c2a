"""What Prefect itself adds to a run's artifacts, and nobody can read."""

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, State

from tasks.prefect.observing import left_out_on_failure


def remove_unnamed_artifact(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """Remove the artifact that says where the exception of a failed flow run lies: a hook of the flows.

    The dashboard shows it with no name, as of the type "unknown". What failed is in the state's message.
    """
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    # A page of them has no more than 200, which a run's own could fill.
    unnamed = ArtifactFilter(key=ArtifactFilterKey(exists_=False))
    with left_out_on_failure("The removal of an unnamed artifact"), get_client(sync_client=True) as client:
        for artifact in client.read_artifacts(artifact_filter=unnamed, flow_run_filter=chosen):
            if artifact.type is None and artifact.task_run_id is None:
                client.delete_artifact(artifact.id)
