"""A step for the `build` section of a prefect.yaml; it acts in the process of `prefect deploy`.

Prefect has no hook between what it reads of a file and what it sends, so the two methods of its client that
send a deployment are wrapped.
"""

from __future__ import annotations

from functools import cache, wraps
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentUpdate

from deployments.keeping import FIELDS, merged, said_by, with_memory


def keep_changes() -> None:
    """Let deploying leave alone what somebody has set on the server: schedules, parameters, limits, ..."""
    _wrap_client()


@cache
def _wrap_client() -> None:
    PrefectClient.create_deployment = _remembering(PrefectClient.create_deployment)
    PrefectClient.update_deployment = _keeping(PrefectClient.update_deployment)


def _remembering(create: Any) -> Any:
    @wraps(create)
    async def create_deployment(client: PrefectClient, **given: Any) -> UUID:
        said = said_by(_as_update(given))
        schema = with_memory(given.get("parameter_openapi_schema"), said)
        return await create(client, **{**given, "parameter_openapi_schema": schema})

    return create_deployment


def _keeping(update_deployment: Any) -> Any:
    @wraps(update_deployment)
    async def update_what_is_new(
        client: PrefectClient, deployment_id: UUID, deployment: DeploymentUpdate
    ) -> None:
        update = merged(deployment, await client.read_deployment(deployment_id))
        if update:
            await update_deployment(client, deployment_id, update)

    return update_what_is_new


def _as_update(given: dict[str, Any]) -> DeploymentUpdate:
    """What is sent for a new deployment, as it would be for one that exists."""
    fields = {name: given[name] for name in FIELDS if name in given}
    schedules = [one.model_dump(mode="json", exclude_unset=True) for one in given.get("schedules") or []]
    return DeploymentUpdate(**fields, schedules=schedules)
