"""How many files share a Batch task where nobody has said it.

The numbers below are choices, not measurements: what a Batch task costs on Azure beside its work is not known
here. The local service takes 10 ms of the processor for one (bench/results), of which a minute would hide
thousands; a minute hides 3 s to a twentieth, which leaves room for what Azure does to place a task and move
its files.
"""

import math

# So many tasks for each slot let a fast node take over from a slow one, and few be lost with a node.
TASKS_PER_SLOT = 4
# Beside a task of this length what it costs by itself is little; a longer one only makes the end uneven.
TASK_SECONDS = 60.0
# More in one task are long on their way to a node that has to be replaced.
TASK_BYTES = 256 << 20
# Where nobody knows how long they take.
UNKNOWN_MAX = 100
FILES_MAX = 1000


def choose_files_per_task(
    count: int, size_bytes: int, slots: int, at_once: int = 1, seconds_each: float | None = None
) -> int:
    """How many of `count` files of that size in all share a task, on a pool that has `slots` for such tasks.

    A task runs `at_once` of its files at a time. `seconds_each` is what such files have taken so far.
    """
    for_balance = count // (slots * TASKS_PER_SLOT)
    for_bytes = TASK_BYTES * count // max(1, size_bytes)
    for_seconds = UNKNOWN_MAX
    if seconds_each is not None:
        for_seconds = math.floor(TASK_SECONDS * at_once / max(seconds_each, TASK_SECONDS / FILES_MAX))
    return max(1, min(for_balance, for_bytes, for_seconds, FILES_MAX))
