"""One file of a run, as a piece of work."""

from dataclasses import dataclass

from tasks.spec.blob_places import InputBlob
from tasks.spec.naming import name_by_content, name_task
from tasks.spec.recipe import digest_source


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One file of a run: its blob, its output's blob, and the Batch task in between."""

    name: str
    output_name: str
    task_id: str
    md5: bytes = b""
    """Of the content of an input that was uploaded."""

    blob: InputBlob | None = None
    """An input that was in blob storage before the run."""

    @property
    def input_blob(self) -> str:
        """The input in its container: the run's own, unless it was in blob storage before."""
        return self.blob.name if self.blob else name_by_content(self.name, self.md5.hex())

    @property
    def source(self) -> str:
        """The digest of all that makes the output (`tasks.spec.recipe`)."""
        return self.task_id.rpartition("-")[2]


def make_item(
    name: str,
    output_name: str,
    content: str,
    recipe: str,
    blob: InputBlob | None = None,
    outputs: str = "",
) -> WorkItem:
    """The work on an input by this recipe; `content` tells what is in the input from any other, and is the
    MD5, hexadecimal, of one that was uploaded. `outputs` is the identity of their place."""
    source = digest_source(recipe, name, outputs + output_name, content)
    md5 = b"" if blob else bytes.fromhex(content)
    return WorkItem(name, output_name, name_task(name, source), md5, blob)


@dataclass(frozen=True)
class OtherTasks:
    """Tasks in the job of a run that are not waited for: all completed, left there by an earlier attempt."""

    completed: int = 0
    failed: int = 0
    """Of the completed."""


NO_OTHER_TASKS = OtherTasks()


@dataclass(frozen=True)
class AwaitedTasks:
    """The Batch tasks that a run waits for, by id, and what else its job has."""

    ids: frozenset[str]
    others: OtherTasks = NO_OTHER_TASKS
