"""Whether a run stands still: tasks wait, and for longer than it may no task has run or ended.

No state is called bad here. What counts is that nothing works, whatever the reason: a reason that nobody has
thought of ends a run like any other.
"""

from dataclasses import dataclass, field

from tasks.base.printable import say_count
from tasks.watch.health import PoolView
from tasks.watch.progress import Counts

# Of a longer time between two looks, nobody knows what it was spent with.
GAP_SECONDS_MAX = 60.0
STARTING = ("creating", "starting", "waiting for start task", "rebooting", "reimaging", "upgrading os")


@dataclass(frozen=True)
class Patience:
    """How long a run stands still before it gives up."""

    stall_seconds: float
    """With tasks that wait and nothing on its way."""

    start_seconds: float
    """How long nodes may be on their way before that counts as standing still as well."""

    quota_seconds: float = 0.0
    """How long the pool may wait for others that hold a quota, which does not count as standing still."""


@dataclass
class Stall:
    """How long a run has stood still since a Batch task ended last.

    The times add up over whatever lies between: nodes that come and go, and let no task get to its end,
    are no progress.
    """

    patience: Patience
    completed: int = 0
    still_seconds: float = 0.0
    starting_seconds: float = 0.0
    is_working: bool = True
    view: PoolView | None = None
    """The pool at the last look."""

    job_state: str = ""
    _looked_at_seconds: float | None = field(default=None, repr=False)

    def look(
        self, counts: Counts, view: PoolView, job_state: str, now_seconds: float, is_excused: bool = False
    ) -> None:
        """Take in what is to be seen now, which is taken for how it was since the last look. It is excused to
        stand still for what has a limit of its own."""
        passed = now_seconds - (now_seconds if self._looked_at_seconds is None else self._looked_at_seconds)
        self._looked_at_seconds, self.view, self.job_state = now_seconds, view, job_state
        self.is_working = is_working(counts, view, job_state)
        if counts.completed > self.completed:
            self.completed, self.still_seconds, self.starting_seconds = counts.completed, 0, 0
        elif not self.is_working and not is_excused:
            self._stand_still(view, min(passed, GAP_SECONDS_MAX))

    def _stand_still(self, view: PoolView, seconds: float) -> None:
        if _is_starting(view):
            self.starting_seconds += seconds
        else:
            self.still_seconds += seconds

    @property
    def seconds(self) -> float:
        """How long it counts as standing still."""
        return self.still_seconds + max(0.0, self.starting_seconds - self.patience.start_seconds)

    @property
    def is_over(self) -> bool:
        return self.seconds >= self.patience.stall_seconds

    @property
    def is_half_over(self) -> bool:
        return 2 * self.seconds >= self.patience.stall_seconds

    def __str__(self) -> str:
        waited = self.still_seconds + self.starting_seconds
        return f"For {describe_seconds(waited)} no Batch task could run, and none has ended"


def is_working(counts: Counts, view: PoolView, job_state: str) -> bool:
    """Whether a node runs tasks: of this run, or of others behind whose tasks these wait.

    Tasks that count as running on a node that nobody can reach are not known to run.
    """
    return view.nodes.get("running", 0) > 0 and (counts.running > 0 or job_state == "active")


def _is_starting(view: PoolView) -> bool:
    """Whether nodes are on their way."""
    return not view.is_steady or any(view.nodes.get(state) for state in STARTING)


def describe_seconds(seconds: float) -> str:
    if seconds < 120:
        return say_count(round(seconds), "second")
    return say_count(round(seconds / 60), "minute")
