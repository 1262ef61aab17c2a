"""What a resource says of itself: who made it, for which run, until when, and when it may be deleted.

A pool and a job say it in their metadata, a container in its own. So what a run has left behind can be found
and judged by whoever finds it, long after the run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import cast, get_args

from azure.batch import models
from prefect.runtime import flow_run

from tasks.spec.naming import MADE_BY
from tasks.spec.specs import When
from tasks.spec.times import find_time

# Uploads come before the time of the Batch tasks, downloads after it.
MARGIN_SECONDS = 60 * 60
MARGIN = timedelta(seconds=MARGIN_SECONDS)
FLOW_RUN_ID = "flow_run_id"


@dataclass(frozen=True)
class Ownership:
    """Whose a resource is."""

    run_key: str
    expires_at: datetime | None
    """From then on no run needs it; None where it isn't said."""

    delete_when: When
    """What the run's policy says of it."""

    flow_run_id: str | None = None
    """The flow run that has made it, or used it last. By a key that was given by hand nobody finds it."""

    def is_good_for(self, wanted: "Ownership") -> bool:
        """Whether a resource can do for a run without being told so: it is the run's, under the same policy,
        and expires no earlier than half the margin before what is wanted."""
        if self.expires_at is None or wanted.expires_at is None:
            return False
        # Which flow run it says is no matter: whoever judges it looks at all that is of the key.
        is_the_runs = (self.run_key, self.delete_when) == (wanted.run_key, wanted.delete_when)
        return is_the_runs and self.expires_at + MARGIN / 2 >= wanted.expires_at

    def describe(self) -> str:
        """Whose it is, for somebody who wants to know whom to ask."""
        if self.flow_run_id is None:
            return f"run {self.run_key}"
        if self.flow_run_id == self.run_key:
            return f"flow run {self.flow_run_id}"
        return f"run {self.run_key}, flow run {self.flow_run_id}"


def build_ownership(
    run_key: str, delete_when: When, timeout_seconds: float, now: datetime | None = None
) -> Ownership:
    """The ownership of what a run with this timeout makes now, in the flow run that this is called in."""
    expires_at = compute_expiry(now or datetime.now(timezone.utc), timeout_seconds)
    return Ownership(run_key, expires_at, delete_when, flow_run.id)


def compute_expiry(now: datetime, timeout_seconds: float) -> datetime:
    """When a run that begins now, and takes its Batch tasks' whole time, is over; in whole seconds."""
    return (now + timedelta(seconds=timeout_seconds + MARGIN_SECONDS)).replace(microsecond=0)


def as_metadata(owned: Ownership) -> dict[str, str]:
    """As the metadata of a container, whose names must be those of C# identifiers."""
    values = {"made_by": MADE_BY, "run_key": owned.run_key, "delete_when": owned.delete_when}
    if owned.expires_at is not None:
        values["expires_at"] = owned.expires_at.isoformat(timespec="seconds")
    if owned.flow_run_id is not None:
        values[FLOW_RUN_ID] = owned.flow_run_id
    return values


def as_batch_metadata(owned: Ownership) -> list[models.BatchMetadataItem]:
    """As the metadata of a pool or job."""
    return [models.BatchMetadataItem(name=name, value=value) for name, value in as_metadata(owned).items()]


def read_ownership(metadata: Mapping[str, str] | None) -> Ownership | None:
    """What the metadata says; None if it doesn't say that this project made the resource."""
    values = metadata or {}
    if values.get("made_by") != MADE_BY or not values.get("run_key"):
        return None
    delete_when = values.get("delete_when", "always")
    return Ownership(
        run_key=values["run_key"],
        expires_at=find_time(values.get("expires_at")),
        # Of what we can't read we take the meaning that deletes least.
        delete_when=cast(When, delete_when) if delete_when in get_args(When) else "never",
        flow_run_id=values.get(FLOW_RUN_ID),
    )


def read_batch_ownership(metadata: Iterable[models.BatchMetadataItem] | None) -> Ownership | None:
    """What the metadata of a pool or job says; None if it doesn't say that this project made it."""
    return read_ownership({item.name: item.value for item in metadata or []})
