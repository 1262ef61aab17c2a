"""What a run tells of how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from prefect.logging import disable_run_logger

from tasks.spec.prices import NodeHours
from tasks.spec.spent import Spent
from tasks.watch.progress import Counts, Progress, watched


def test_counts_read_as_a_sentence():
    """What the log and the progress artifact say."""
    assert (
        str(Counts(5, 1, 2, 2, 1)) == "2 of 5 Batch tasks completed, 1 of them failed, 2 running, 1 waiting"
    )


@pytest.mark.parametrize(
    ("completed", "failed", "expected"),
    [
        (0, 0, Counts(10, waiting=4, running=3, completed=3, failed=1)),
        (3, 1, Counts(10, waiting=4, running=3, completed=3, failed=1)),
        (5, 2, Counts(10, waiting=4, running=1, completed=5, failed=2)),
        (8, 1, Counts(10, waiting=2, running=0, completed=8, failed=1)),
        (10, 0, Counts(10, waiting=0, running=0, completed=10, failed=1)),
    ],
)
def test_counts_say_no_less_than_what_was_listed(completed, failed, expected):
    """A task that a list has shown as completed is counted so, and neither as running nor as waiting."""
    counts = Counts(10, waiting=4, running=3, completed=3, failed=1)
    assert counts.at_least(completed, failed) == expected


def test_progress_tells_numbers_pace_and_time_left():
    """What can be cut off comes last; of the time before the first task runs nothing is counted."""
    counts = Counts(1000, 884, 16, 100, 2)
    assert counts.brief() == "100/1,000, 2 failed, 16 running, 884 waiting"
    progress = Progress()
    assert progress.pace(Counts(1000, 1000), 0) == ""
    assert progress.pace(Counts(1000, 984, 16), 500) == ""
    assert progress.pace(counts, 560) == "; 100 a minute, about 9 min left"
    assert progress.pace(Counts(1000, 0, 16, 984, 2), 1100) == "; 98 a minute, about 10 s left"
    assert progress.pace(Counts(1000, completed=1000), 1200) == ""


@dataclass
class Shown(Progress):
    """A progress that keeps what it would show."""

    descriptions: list[str] = field(default_factory=list)

    def show(self, counts, description):
        self.artifact_id = uuid4()
        self.descriptions.append(description)


def break_off(progress, *told):
    """What is shown of these counts by a wait that then breaks off."""

    def wait():
        with disable_run_logger(), watched(progress):
            for counts in told:
                progress.tell(counts, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait()
    return progress.descriptions


def test_a_progress_that_is_broken_off_stops_telling_what_runs():
    """It says how far it got; of a wait that had all, or had seen nothing, there is no more to say."""
    numbers = "1,127/4,000, 2 failed"
    assert break_off(Shown(), Counts(4_000, 2_865, 8, 1_127, 2)) == [
        f"{numbers}, 8 running, 2,865 waiting",
        f"stopped at {numbers}",
    ]
    assert break_off(Shown(), Counts(2, completed=2)) == ["2/2, 0 running, 0 waiting"]
    assert break_off(Shown()) == []


@pytest.mark.parametrize(("completed", "percent"), [(28, 9.3), (299, 99.6), (300, 100), (0, 0)])
def test_the_percent_have_one_digit_and_are_a_hundred_at_the_end_alone(monkeypatch, completed, percent):
    """Both dashboards show the number as it is."""
    shown = []
    monkeypatch.setattr(
        "tasks.watch.progress.create_progress_artifact", lambda *said, **_: shown.append(said)
    )
    Progress().show(Counts(300, completed=completed), "")
    assert shown == [(percent,)]


def test_it_tells_what_the_nodes_have_cost():
    """At once if prices were given, else from the first minute on; each minute, if nothing else is new."""
    hours, counts = NodeHours(2, 0), Counts(5, 1, 2, 2)
    dear, free = Shown(spent=lambda: Spent(hours, 0.2, "EUR")), Shown(spent=lambda: Spent(hours))
    with disable_run_logger():
        for seconds in (100, 130, 161):
            dear.tell(counts, seconds)
            free.tell(counts, seconds)
    assert dear.descriptions == [f"{counts.brief()}; 2.00 dedicated node-hours, 0.2000 EUR so far"] * 2
    assert free.descriptions == [counts.brief(), f"{counts.brief()}; 2.00 dedicated node-hours so far"]
