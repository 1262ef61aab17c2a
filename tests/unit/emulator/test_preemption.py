"""Tasks of higher priority take the place of those that their jobs let be preempted, in the pure core."""

from __future__ import annotations

from batch_emulator.node.launch import Outcome
from tests.unit.emulator.driver import Driver

STOPPED = Outcome(None, stopped=True)


def make(nodes: int = 1, slots: int = 1, *, allow: bool = True) -> Driver:
    driver = Driver()
    driver.add_pool(nodes, taskSlotsPerNode=slots)
    driver.add_job("low", priority=-5, allowTaskPreemption=allow)
    driver.add_job("high", priority=5)
    return driver


def test_task_of_a_higher_priority_takes_the_place():
    """The running task is requeued, the waiting one runs once it has ended, and the first after that."""
    driver = make()
    driver.add_task("a", "low")
    driver.add_task("b", "high")
    assert (driver.task("a", "low").state, driver.task("b", "high").state) == ("active", "active")
    assert driver.task("a", "low").requeue_count == 1
    driver.end("/a", STOPPED)
    assert driver.task("b", "high").state == "running"
    driver.end("/b")
    assert driver.task("a", "low").state == "running"


def test_nothing_gives_way_unasked():
    """Without `allowTaskPreemption`, or at the same priority, what runs goes on."""
    driver = make(allow=False)
    driver.add_job("same", priority=5, allowTaskPreemption=True)
    driver.add_task("a", "low")
    driver.add_task("b", "high")
    assert driver.task("a", "low").state == "running"
    driver.end("/a")
    driver.end("/b")
    driver.add_task("c", "same")
    driver.add_task("d", "high")
    assert driver.task("c", "same").state == "running"


def test_no_more_are_pushed_out_than_wait():
    """Of four running tasks the two that started last go for two that wait, and no more while these end."""
    driver = make(nodes=2, slots=2)
    for each in "abcd":
        driver.add_task(each, "low")
        driver.pass_seconds(1)
    for each in "xy":
        driver.add_task(each, "high")
    requeued = [each for each in "abcd" if driver.task(each, "low").requeue_count]
    assert len(requeued) == 2
    driver.add_task("e", "low")
    assert [each for each in "abcd" if driver.task(each, "low").requeue_count] == requeued
    for each in requeued:
        driver.end(f"/{each}", STOPPED)
    assert [driver.task(each, "high").state for each in "xy"] == ["running", "running"]


def test_room_for_a_large_task_is_made_on_one_node():
    """A task of two slots takes the place of two tasks of one node."""
    driver = make(nodes=2, slots=2)
    for each in "abcd":
        driver.add_task(each, "low")
    driver.add_task("x", "high", requiredSlots=2)
    (first, second) = [each for each in "abcd" if driver.task(each, "low").requeue_count]
    for each in (first, second):
        driver.end(f"/{each}", STOPPED)
    assert driver.task("x", "high").state == "running"


def test_least_priority_goes_first():
    """Of two jobs that give way the one of the lower priority does."""
    driver = make(slots=2)
    driver.add_job("middle", allowTaskPreemption=True)
    driver.add_task("m", "middle")
    driver.add_task("l", "low")
    driver.add_task("x", "high")
    assert driver.task("m", "middle").state == "running"
    assert driver.task("l", "low").requeue_count == 1


def test_allowed_slots_are_those_of_the_job():
    """A job of at most one task at once pushes out one."""
    driver = make(nodes=2)
    driver.add_job("one", priority=9, maxParallelTasks=1)
    for each in "ab":
        driver.add_task(each, "low")
    for each in "xy":
        driver.add_task(each, "one")
    assert sum(driver.task(each, "low").requeue_count for each in "ab") == 1
