"""The automations of `automations.yaml` on a Prefect server: `python -m deployments.automations apply`.

They are found by name: what isn't there is created, what is different is updated, and what somebody has
switched off stays off. The server is that of PREFECT_API_URL or of the active profile.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.events.schemas.automations import AutomationCore
from prefect.settings import get_current_settings

from deployments.errors import AutomationError
from deployments.files import FOLDER

FLOW = "cleanup"
NOTIFY_BLOCK = "fan-out-failures"
CAN_NOTIFY = {"block_capabilities": {"all_": ["notify"]}}


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        with server() as client:
            for line in apply(client, options.cleanup, options.notify):
                print(line)
    except (AutomationError, httpx.HTTPError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(
        prog="python -m deployments.automations", description=(__doc__ or "").partition("\n")[0]
    )
    commands = root.add_subparsers(required=True)
    applied = commands.add_parser("apply", help="create and update the automations of automations.yaml")
    applied.add_argument("--cleanup", help="the deployment to clean up with (default: the only one there is)")
    applied.add_argument(
        "--notify", default=NOTIFY_BLOCK, help=f"the block to notify by (default: {NOTIFY_BLOCK})"
    )
    return root


@contextmanager
def server() -> Iterator[SyncPrefectClient]:
    """A client of the server that the settings name. Raises AutomationError if they name none."""
    if not get_current_settings().api.url:
        raise AutomationError("Set PREFECT_API_URL: a temporary server would forget the automations at once.")
    with get_client(sync_client=True) as client:
        yield client


def apply(client: SyncPrefectClient, cleanup: str | None = None, notify: str = NOTIFY_BLOCK) -> Iterator[str]:
    """Bring the server's automations to what the file says; a line for each. Raises AutomationError."""
    ids = {
        "deployment": ("deployment_id", _cleanup_deployment(client, cleanup)),
        "block": ("block_document_id", _notification_block(client, notify)),
    }
    for entry in yaml.safe_load((FOLDER / "automations.yaml").read_text(encoding="utf-8"))["automations"]:
        wanted = _resolved(entry, ids)
        if wanted is None:
            yield f"Skipped    {entry['name']}: there is no block {notify} that can notify"
        else:
            yield f"{put(client, wanted):<10} {wanted.name}"


def _resolved(entry: Mapping[str, Any], ids: Mapping[str, tuple[str, UUID | None]]) -> AutomationCore | None:
    """The automation with ids in place of names; None if what an action needs isn't there."""
    actions = []
    for action in entry["actions"]:
        action = dict(action)
        for name in ids.keys() & action.keys():
            field, found = ids[name]
            if found is None:
                return None
            del action[name]
            action[field] = str(found)
        actions.append(action)
    return AutomationCore.model_validate({**entry, "actions": actions})


def put(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    """Create or update the automation of that name; of several with that name one is left. What was done."""
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return "Created"
    first, *others = found
    for other in others:
        client.delete_automation(other.id)
    wanted = wanted.model_copy(update={"enabled": first.enabled})
    if strip_server_fields(first) == strip_server_fields(wanted):
        return "Unchanged"
    client.update_automation(first.id, wanted)
    return "Updated"


def strip_server_fields(automation: AutomationCore) -> AutomationCore:
    """What an automation says, without what the server adds."""
    return AutomationCore.model_validate(automation.model_dump(exclude={"id", "owner_resource"}))


def _cleanup_deployment(client: SyncPrefectClient, name: str | None) -> UUID:
    """The deployment of the flow `cleanup` with that name, `cleanup/one-run` say. Raises AutomationError."""
    chosen = FlowFilter(name=FlowFilterName(any_=[FLOW]))
    found = {f"{FLOW}/{one.name}": one.id for one in client.read_deployments(flow_filter=chosen)}
    there = ", ".join(sorted(found)) or "none: deploy the flows first"
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        asked = (
            f"There is no deployment {name}" if name else "Say by --cleanup which deployment to clean up with"
        )
        raise AutomationError(f"{asked}. There is {there}.")
    return found[name]


def _notification_block(client: SyncPrefectClient, name: str) -> UUID | None:
    """The block of that name that can notify, of whatever type; None if there is none."""
    body = {"block_documents": {"name": {"any_": [name]}}, "block_schemas": CAN_NOTIFY}
    found = client.request("POST", "/block_documents/filter", json=body).json()
    return UUID(found[0]["id"]) if found else None


if __name__ == "__main__":
    sys.exit(main())
