"""What deploying again may change: only what the file says otherwise than when it was deployed last.

`prefect deploy` writes all that a file says, and more (that the deployment isn't paused), over what somebody
has set on the server since. So what the file said is remembered with the deployment, in its parameter schema,
where validation ignores it; of each value there are then three, and one that the file hasn't changed stays as
it is on the server. On a deployment without that memory, all of them stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse

MEMORY = "x-deployed"
SCHEDULE_FIELDS = ("schedule", "active", "parameters")
# What can be changed on the server as well. The rest is what the file says.
FIELDS = (
    "parameters",
    "job_variables",
    "tags",
    "description",
    "paused",
    "concurrency_limit",
    "concurrency_options",
)
MISSING = object()

Said = Mapping[str, Any]


def said_by(update: DeploymentUpdate) -> Said:
    """What a file says of a deployment, as JSON; its schedules by their slugs, those without one left out."""
    said = update.model_dump(mode="json", include={*FIELDS}, exclude_unset=True)
    schedules = [one.model_dump(mode="json", exclude_unset=True) for one in update.schedules or []]
    by_slug = {one["slug"]: pick(one, SCHEDULE_FIELDS) for one in schedules if one.get("slug")}
    return {**said, "schedules": by_slug}


def with_memory(schema: Mapping[str, Any] | None, said: Said) -> dict[str, Any]:
    """The schema with what a file says.

    It takes no other parameters than the flow's: a run with one would crash before it can say why.
    """
    closed = {"additionalProperties": False} if schema and "properties" in schema else {}
    return {**(schema or {}), **closed, MEMORY: dict(said)}


def merged(update: DeploymentUpdate, existing: DeploymentResponse) -> DeploymentUpdate | None:
    """The update without what would undo a change on the server; None if it changes nothing then."""
    said = said_by(update)
    deployed = (existing.parameter_openapi_schema or {}).get(MEMORY, said)
    payload = update.model_dump(mode="json", exclude_unset=True, exclude={"schedules", "version_info"})
    payload["parameter_openapi_schema"] = with_memory(update.parameter_openapi_schema, said)
    standing = _standing_on(existing)
    for name in FIELDS:
        if name in said:
            payload[name] = three_way(deployed.get(name), said[name], standing[name])
    payload |= _changed_schedules(update, deployed, existing.schedules)
    if payload.get("work_queue_name") is None:
        # Named by nobody, it is the pool's default one.
        payload.pop("work_queue_name", None)
    changed = {name: value for name, value in payload.items() if standing.get(name, MISSING) != value}
    return DeploymentUpdate(**changed, version_info=update.version_info) if changed else None


def _standing_on(existing: DeploymentResponse) -> dict[str, Any]:
    """What the server has, in the names and forms of an update."""
    limit = existing.global_concurrency_limit
    standing = existing.model_dump(mode="json", exclude={"schedules"})
    return {**standing, "concurrency_limit": limit.limit if limit else None}


def three_way(deployed: Any, said: Any, standing: Any) -> Any:
    """What stands, but for what is now said otherwise than it was deployed; mappings key by key."""
    if all(isinstance(one, Mapping) for one in (deployed, said, standing)):
        names = [*standing, *(name for name in said if name not in standing)]
        chosen = {
            name: three_way(*(one.get(name, MISSING) for one in (deployed, said, standing))) for name in names
        }
        return {name: value for name, value in chosen.items() if value is not MISSING}
    return standing if said == deployed else said


def _changed_schedules(
    update: DeploymentUpdate, deployed: Said, standing: list[DeploymentSchedule]
) -> dict[str, list[Any]]:
    """What to send of the schedules, if anything.

    The server changes those that are named by slugs and leaves the others, unless one of its own has no slug:
    it then takes what is sent for all that there are to be.
    """
    if any(not one.slug for one in update.schedules or []):
        return {
            "schedules": [one.model_dump(mode="json", exclude_unset=True) for one in update.schedules or []]
        }
    on_server = {one.slug: _read_fields(one) for one in standing if one.slug}
    said, before = said_by(update)["schedules"], deployed.get("schedules", {})
    changes = {slug: change for slug in said if (change := find_change(slug, said, before, on_server))}
    if not changes:
        return {}
    others = [_read_fields(one) | {"slug": one.slug} for one in standing if one.slug not in changes]
    sent = [{**on_server.get(slug, {}), **change, "slug": slug} for slug, change in changes.items()]
    return {"schedules": sent if all(one.slug for one in standing) else [*others, *sent]}


def find_change(slug: str, said: Said, before: Said, on_server: Said) -> dict[str, Any]:
    """What is new of one schedule; nothing if it stands so, or was deleted and is said as before."""
    standing = on_server.get(slug)
    if standing is None:
        return {} if said[slug] == before.get(slug) else dict(said[slug])
    known = {name: standing[name] for name in said[slug]}
    wanted = three_way(before.get(slug, {}), said[slug], known)
    return {name: value for name, value in wanted.items() if value != known[name]}


def _read_fields(schedule: DeploymentSchedule) -> dict[str, Any]:
    return pick(schedule.model_dump(mode="json"), SCHEDULE_FIELDS)


def pick(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}
