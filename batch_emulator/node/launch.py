"""What the engine asks of a node and what it is told back: plain data, and the `Runner` between the two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

WireObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A task's `failureInfo`; `details` are its name/value pairs, in order."""

    category: Literal["UserError", "ServerError"]
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt to run one command on one node.

    `task_directory` is relative to the node's root with `/`: "workitems/job1/job-1/task1", "startup".
    `environment` holds the identity variables (AZ_BATCH_POOL_ID, ...) and the user's settings; the agent
    adds the directories. `max_wall_clock_seconds` runs from the start of the attempt, downloads included.
    With `retries_left` a nonzero exit is not yet the end, so nothing is uploaded. A `retry` on the same node
    keeps the directory of the attempt before it and downloads nothing again (Azure/Batch issue 14); any other
    attempt begins with an empty one. `job_preparation_directory`, relative too, is that of the job
    preparation task that ran on this node. `disk_full` and `disk_bytes_per_second` say what disk the attempt
    finds, where a fault was asked for.

    `attempt` tells it from all others in its directory, those of former tasks too: where an
    earlier service has begun it, what of that still runs, or how it has ended, counts.

    `container` is the task's `containerSettings`, with all `registries` that it may pull
    from; empty where it has none, or where containers have no effect. `on_windows` says that the pool has
    Windows, where tasks have no folder for certificates.

    A multi-instance task runs in two stages: `coordination` brings `common_resource_files` into the task's
    directory itself, and leaves running what its command has started; `application` goes on there.
    """

    node_id: str
    task_directory: str
    command_line: str
    environment: dict[str, str] = field(default_factory=dict)
    resource_files: list[WireObject] = field(default_factory=list)
    output_files: list[WireObject] = field(default_factory=list)
    max_wall_clock_seconds: float | None = None
    retries_left: bool = False
    retry: bool = False
    job_preparation_directory: str | None = None
    stage: Literal["whole", "coordination", "application"] = "whole"
    common_resource_files: list[WireObject] = field(default_factory=list)
    disk_full: bool = False
    disk_bytes_per_second: float | None = None
    attempt: str = ""
    container: WireObject = field(default_factory=dict)
    on_windows: bool = False

    @property
    def name(self) -> str:
        """That of the attempt, on all nodes and for ever."""
        return f"{self.node_id}/{self.task_directory}#{self.attempt}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended.

    `exit_code` is None if no process was started, and -n for one that signal n killed, as on a Linux node
    (Azure/Batch issue 101). `failure` is None for success only. `stopped`: ended by `Runner.stop` or
    `close_node`. `preprocessing_failure` and `upload_failure` select the exit conditions `preProcessingError`
    and `fileUploadError`; an exit code outranks the latter, and a nonzero one may come with `upload_failure`.
    `retriable`: the process exited with a nonzero code of its own accord; nothing else is ever retried.
    """

    exit_code: int | None
    failure: Failure | None = None
    stopped: bool = False
    retriable: bool = False
    preprocessing_failure: bool = False
    upload_failure: bool = False


class Runner(Protocol):
    """What carries out launches. (node_id, task_directory) names an attempt; one at a time runs for each."""

    def tell_when(self, when_written: Callable[[Callable[[], None]], object]) -> None:
        """What `when_written` is given is called once all that has happened so far is written down. What
        outlives the service may be told of it only then."""

    def open_node(self, node_id: str, pool_id: str) -> None:
        """Make the node's folder, or take over the one that an earlier emulator left."""

    def take_up(self) -> bool:
        """Whether all that an earlier service left running, or what has become of it, is known: then launches
        of the same names are taken up, until `keep_only`."""
        ...

    def keep_only(self, node_ids: Set[str], in_use: Set[tuple[str, str]]) -> None:
        """Delete the folders of all other nodes, and kill what was neither taken up nor left running in a
        task directory that is `in_use`, (node_id, task_directory): an earlier service had no time to."""

    def close_node(self, node_id: str) -> Awaitable[None]:
        """Stop all that runs on the node and delete its folder; goes on whether or not it is awaited."""
        ...

    def start(self, launch: Launch, done: Callable[[Outcome], None]) -> None:
        """Begin an attempt and return at once; `done` is called exactly once, later, in the event loop."""

    def stop(self, node_id: str, task_directory: str) -> None:
        """End an attempt, which then calls its `done` with `stopped`. If there is none, end what an earlier
        one has left running in the directory."""

    def remove_task_directory(self, node_id: str, task_directory: str) -> None:
        """Delete a directory below the node's root, if it is there. Nothing may be running in it."""

    def node_root(self, node_id: str) -> Path | None:
        """The folder of an open node."""

    async def close(self) -> None:
        """Stop everything and wait until it has ended. The folders stay."""
