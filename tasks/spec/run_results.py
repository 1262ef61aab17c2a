"""What a whole run comes to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from tasks.spec.file_results import FileResult
from tasks.spec.naming import LOGS_FOLDER
from tasks.spec.packed_results import FileResults
from tasks.spec.spent import Spent

SELDOM = ("unfinished", "unchanged", "skipped")


@dataclass(frozen=True)
class RunResult:
    """A whole run: `outputs` says for each input that succeeded where its output is."""

    run_key: str
    job_id: str
    """Empty, like `pool_id`, if all outputs of an earlier run still held and nothing had to be made."""

    pool_id: str
    output_dir: str
    elapsed_seconds: float
    files: FileResults = field(repr=False)
    command: str = ""
    nodes: str = ""
    """The machines that were asked for, in words."""

    spent: Spent | None = None
    """How long the nodes lived in this run, and what that cost if prices were given; None if it had none."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    uploaded_at: tuple[datetime, datetime] | None = None
    """When the uploads of inputs began and ended; None if there was nothing to run."""

    ended_early: str = ""
    """Why the run ended before all its Batch tasks had; "" if it did not."""

    set_aside: tuple[str, ...] = ()
    """The names of outputs of earlier runs that were moved away, as their files have failed now."""

    bundles: int = 0
    """How many Batch tasks its files shared; 0 if each had one of its own."""

    @property
    def logs_dir(self) -> str:
        """The folder in which the logs of failed files are."""
        return f"{self.output_dir}/{LOGS_FOLDER}/{self.run_key}"

    @property
    def outputs(self) -> dict[str, str]:
        return self.files.outputs

    @property
    def failures(self) -> Sequence[FileResult]:
        """All that have no output: those that failed, and those that are unfinished."""
        return self.files.with_problems

    @property
    def unchanged(self) -> Sequence[FileResult]:
        return self.files.unchanged

    @cached_property
    def counts(self) -> Counter[str]:
        """How many files came to which end."""
        return self.files.count_states()

    @property
    def tally(self) -> str:
        """The same in words."""
        counts = self.counts
        always = [f"{counts[state]:,} {state}" for state in ("succeeded", "failed")]
        return ", ".join(always + [f"{counts[state]:,} {state}" for state in SELDOM if counts[state]])
