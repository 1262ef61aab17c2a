"""A job schedule as JSON."""

from __future__ import annotations

from batch_emulator.api.views import order
from batch_emulator.api.views.order import arrange
from batch_emulator.resources.model import JobSchedule, Wire
from batch_emulator.ticks import etag, format_ticks


def render_schedule(schedule: JobSchedule, base_url: str) -> Wire:
    """A job schedule, as Get Job Schedule answers it."""
    wire: Wire = {"id": schedule.id}
    if "displayName" in schedule.spec:
        wire["displayName"] = schedule.spec["displayName"]
    wire |= {
        "url": f"{base_url}/jobschedules/{schedule.id}",
        "eTag": etag(schedule.modified),
        "lastModified": format_ticks(schedule.modified),
        "creationTime": format_ticks(schedule.created),
        "state": schedule.state,
        "stateTransitionTime": format_ticks(schedule.state_since),
    }
    if schedule.previous_state:
        wire["previousState"] = schedule.previous_state
        wire["previousStateTransitionTime"] = format_ticks(schedule.previous_state_since)
    # A schedule that says nothing is not told, as recorded.
    said = {name: part for name, part in schedule.spec.items() if part or name != "schedule"}
    return wire | arrange({**said, "executionInfo": _render_execution(schedule, base_url)}, order.SCHEDULE)


def _render_execution(schedule: JobSchedule, base_url: str) -> Wire:
    # As recorded: when it is due, also while it is deleted, but not between; its end while it is completed.
    wire: Wire = {}
    if schedule.due is not None and schedule.state not in ("terminating", "completed"):
        wire["nextRunTime"] = format_ticks(schedule.due)
    if schedule.recent_job_id:
        job_id = schedule.recent_job_id
        wire["recentJob"] = {"url": f"{base_url}/jobs/{job_id}", "id": job_id}
    if schedule.ended and schedule.state == "completed":
        wire["endTime"] = format_ticks(schedule.ended)
    return wire
