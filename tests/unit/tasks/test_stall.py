"""When a run counts as standing still: looks at a pool, with the times at which they were made."""

from tasks.watch.health import PoolView
from tasks.watch.progress import Counts
from tasks.watch.stall import Patience, Stall

PATIENCE = Patience(stall_seconds=60, start_seconds=100)
WAITING = Counts(4, waiting=4)
RUNNING = Counts(4, waiting=3, running=1)


def view(*states: str, is_steady: bool = True) -> PoolView:
    nodes = {state: states.count(state) for state in states}
    return PoolView(False, is_steady, True, (1, 0), len(states), None, nodes=nodes)


def stand(
    *looks: tuple[Counts, PoolView], job_state: str = "active", every_seconds: float = 10.0
) -> int | None:
    """The number of the look at which a run that is looked at so often gives up; None if it doesn't."""
    stall = Stall(PATIENCE)
    for number, (counts, seen) in enumerate(looks):
        stall.look(counts, seen, job_state, number * every_seconds)
        if stall.is_over:
            return number
    return None


def test_whatever_the_reason_a_run_that_stands_still_gives_up():
    """Tasks wait and no node runs any; which state the nodes are in makes no difference."""
    for state in ("idle", "offline", "unknown", "preempted", "leaving pool", "deallocated"):
        assert stand(*[(WAITING, view(state))] * 20) == 6
    assert stand(*[(WAITING, view())] * 20) == 6


def test_nodes_that_start_are_progress_within_limits():
    """Booting nodes, and a resize, may take their own time before they count as standing still."""
    for seen in (view("starting"), view("waiting for start task"), view(is_steady=False)):
        assert stand(*[(WAITING, seen)] * 20) == 16


def test_a_run_that_works_never_gives_up():
    """As long as a node runs a task, or others run before it in the queue, it may take any time."""
    assert stand(*[(RUNNING, view("running"))] * 100) is None
    assert stand(*[(WAITING, view("running"))] * 100) is None


def test_a_node_that_runs_the_tasks_of_others_is_no_progress_of_a_disabled_job():
    """Behind them no task of this job would come."""
    assert stand(*[(WAITING, view("running"))] * 20, job_state="disabled") == 6


def test_a_task_on_a_node_out_of_reach_is_not_known_to_run():
    """The service goes on to count it as running."""
    assert stand(*[(RUNNING, view("unknown"))] * 20) == 6


def test_a_task_that_ends_is_progress():
    """From then on time is counted anew."""
    looks = [
        (Counts(4, waiting=4 - number // 5, completed=number // 5), view("idle")) for number in range(20)
    ]
    assert stand(*looks) is None


def test_tasks_that_begin_and_never_end_are_no_progress():
    """The times between nodes that are taken away again and again add up."""
    taken = [(RUNNING, view("running")), (WAITING, view("preempted")), (WAITING, view("starting"))]
    assert stand(*taken * 40) is not None
    stall = Stall(PATIENCE)
    for number, (counts, seen) in enumerate(taken * 2):
        stall.look(counts, seen, "active", number * 10.0)
    assert str(stall) == "For 40 seconds no Batch task could run, and none has ended"


def test_a_time_in_which_nobody_looked_counts_for_little():
    """A computer that slept for a night doesn't end its run when it wakes."""
    stall = Stall(Patience(stall_seconds=600, start_seconds=600))
    stall.look(WAITING, view("idle"), "active", 0.0)
    stall.look(WAITING, view("idle"), "active", 30000.0)
    assert stall.seconds == 60
