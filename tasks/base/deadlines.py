"""How long a run waits for others: one deadline, which each call and each retry looks at.

It is a context variable, as the accounts in use are, so that it reaches Prefect's tasks and the threads of a
shard without being handed through them. `tasks.azure.retrying` reads it for each request; whoever waits
otherwise takes `turns`.

A deadline is for waiting, not for work: as long as services do what they are asked, a little time is always
left, so that long uploads and downloads are not cut off in the middle.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# What an answer leaves at least, in a run that has more time than that.
FLOOR_SECONDS = 60.0
# Of a call that belongs to no run.
CALL_SECONDS = 120.0
# An endpoint that answers nobody from the start on is mostly a wrong one, and should be told soon.
FIRST_ANSWER_SECONDS = 15.0
# Of what only tells how it goes: a program's output, while it runs.
GLANCE_SECONDS = 5.0
# Of a clean-up as a whole, and of one after a cancellation, as whoever cancels waits no longer.
CLEAN_UP_SECONDS = 120.0
CANCELLED_CLEAN_UP_SECONDS = 30.0
# What the output container says of itself; job, pool and containers.
SHARES = 4
TOLD_EVERY_SECONDS = 60.0
# Less is as good as nothing.
LEAST_SECONDS = 0.05
# Between the turns of who asks again.
FIRST_PAUSE_SECONDS = 0.25
PAUSE_MAX_SECONDS = 10.0


class Deadline:
    """When waiting ends. It is shared by the threads of a run, and may move on."""

    def __init__(self, seconds: float, floor_seconds: float = 0.0, silence_seconds: float = math.inf):
        """`floor_seconds` are what each answer leaves; after `silence_seconds` a call ends that nobody has
        answered so far."""
        self.seconds = seconds
        self.silence_seconds = silence_seconds
        self._floor_seconds = min(seconds, floor_seconds)
        self._at_seconds = self._own_end_seconds = time.monotonic() + seconds
        self._has_failed = False
        self._told_seconds: dict[str, float] = {}
        self._stopped = threading.Event()

    @property
    def seconds_left(self) -> float:
        """Never less than 0."""
        return 0.0 if self._stopped.is_set() else max(0.0, self._at_seconds - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.seconds_left <= LEAST_SECONDS

    @property
    def own_seconds_left(self) -> float:
        """Without what answers leave: who polls is answered each time, and would never end."""
        return 0.0 if self._stopped.is_set() else max(0.0, self._own_end_seconds - time.monotonic())

    def allow(self, seconds: float) -> None:
        """See that at least so much is left."""
        self._own_end_seconds = max(self._own_end_seconds, time.monotonic() + seconds)
        self._leave(seconds)

    def _leave(self, seconds: float) -> None:
        self._at_seconds = max(self._at_seconds, time.monotonic() + seconds)
        self._has_failed = False

    def note_call(self) -> None:
        """A call begins. It has a little time even if the run is late, unless calls fail for that already."""
        if self.is_over and not self._has_failed:
            self._leave(self._floor_seconds)

    def note_answer(self) -> None:
        """A service has done what it was asked: let the next call have its time."""
        self._leave(self._floor_seconds)

    def note_failure(self) -> None:
        """A call has failed because time was up."""
        self._has_failed = True

    def is_news(self, what: str) -> bool:
        """Whether nobody who waits by this deadline has told that within the last minute."""
        now = time.monotonic()
        if now - self._told_seconds.get(what, -math.inf) < TOLD_EVERY_SECONDS:
            return False
        self._told_seconds[what] = now
        return True

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the deadline; not at all once it was stopped."""
        self._stopped.wait(min(seconds, self.seconds_left))

    def stop(self) -> None:
        """End it for all who still wait by it, in other threads too."""
        self._stopped.set()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline:
    """The deadline of the block that this runs in, else that of a call by itself."""
    return _current.get() or Deadline(CALL_SECONDS)


@contextmanager
def _using(deadline: Deadline) -> Iterator[Deadline]:
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        deadline.stop()
        _current.reset(token)


@contextmanager
def run_deadline(timeout_seconds: float) -> Iterator[Deadline]:
    """The deadline of one attempt of a run: it begins here."""
    with _using(Deadline(timeout_seconds, FLOOR_SECONDS)) as deadline:
        yield deadline


@contextmanager
def budget(seconds: float) -> Iterator[Deadline]:
    """A deadline of its own for what has to be tried whatever became of the run's."""
    with _using(Deadline(seconds)) as deadline:
        yield deadline


@contextmanager
def share() -> Iterator[Deadline]:
    """A part of the whole time for one of several things that are tried one after the other: a service that
    is away leaves the others theirs."""
    seconds = current_deadline().seconds / SHARES
    with _using(Deadline(seconds, seconds)) as deadline:
        yield deadline


@contextmanager
def glance(seconds: float = GLANCE_SECONDS) -> Iterator[Deadline]:
    """Little time, and no more than is left, for what a run can do without."""
    with _using(Deadline(min(seconds, current_deadline().seconds_left))) as deadline:
        yield deadline


@contextmanager
def first_call() -> Iterator[Deadline]:
    """The time that is left, but little for a service that doesn't answer at all."""
    left = current_deadline().seconds_left
    with _using(Deadline(left, silence_seconds=FIRST_ANSWER_SECONDS)) as deadline:
        yield deadline


def turns(limit_seconds: float = math.inf) -> Iterator[None]:
    """The turns of who asks until an answer is another: one at once, and one after each of pauses that grow,
    until the deadline or that limit, however often services have answered meanwhile."""
    deadline, pause_seconds = current_deadline(), FIRST_PAUSE_SECONDS
    ends_at_seconds = time.monotonic() + limit_seconds
    yield
    while (left := min(deadline.own_seconds_left, ends_at_seconds - time.monotonic())) > LEAST_SECONDS:
        deadline.pause(min(pause_seconds, left))
        pause_seconds = min(2 * pause_seconds, PAUSE_MAX_SECONDS)
        yield


def is_time_up() -> bool:
    """Whether there is a deadline, and it is over."""
    deadline = _current.get()
    return deadline is not None and deadline.is_over


def note_if_late() -> None:
    """What was under way has failed: if that is because time was up, let nothing else begin."""
    deadline = current_deadline()
    if deadline.is_over:
        deadline.note_failure()


def leave_time() -> None:
    """See that the run that this is in has time for what is next, whatever went before."""
    current_deadline().note_answer()
