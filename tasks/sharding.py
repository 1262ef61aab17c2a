"""How many Prefect tasks a step over many files becomes, and how each does its share."""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager, suppress
from contextvars import copy_context
from itertools import accumulate, islice
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Semaphore
from typing import TypeVar

from prefect.futures import PrefectFuture, wait

from tasks.errors import FanOutError

# Up to here each file is a Prefect task of its own, visible by its name; beyond, the server would lag.
FILES_EACH_VISIBLE = 50
# A graph of more dots than twice these is dust, and each takes the driver as long as 20 small files.
SHARDS_WANTED = 20
SHARD_MIN = 20
SHARD_MAX = 600
SHARD_THREADS = 8
# So many steps over files are at work at once as long as the process has enough to do with them.
TURNS = 2
# A step begins with one thread, and looks so often whether that waits, so that more would help.
LOOK_SECONDS = 0.02
BUSY_SHARE = 0.5
# Items that take longer, on average, gain by threads though the process is busy: it reads or encrypts large
# blocks, in which others may run. Small ones of 16 shards at once take some 20 ms, as they wait for each
# other. From half a second on.
LONG_SECONDS = 0.1
# So many Prefect tasks of a step are given out at once: more than run at once, so that none of those waits.
SHARDS_AT_ONCE = 16
TICK_SECONDS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def shard_size(count: int) -> int:
    """How many of `count` files one Prefect task takes: 1 for small runs, else 20 to 600."""
    if count <= FILES_EACH_VISIBLE:
        return 1
    return min(SHARD_MAX, max(SHARD_MIN, math.ceil(count / SHARDS_WANTED)))


def name_shards(shards: Sequence[Sequence[Item]]) -> list[str]:
    """What each shard is called: which of the files it holds."""
    ends = list(accumulate(map(len, shards)))
    return [f"{end - len(shard) + 1} to {end} of {ends[-1]}" for shard, end in zip(shards, ends, strict=True)]


def split(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


# What waits for services is done by two at a time; what reads small files here by one, as two would wait for
# one interpreter at each call to the disk.
REQUESTS, READS = BoundedSemaphore(TURNS), BoundedSemaphore(1)


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], turns: Semaphore = REQUESTS
) -> list[Result]:
    """The function's results, in order; after a failure the items not yet begun are left alone.

    Context variables are those of the caller: the accounts in use are one. A thread takes one item after
    another, as a future for each would cost as much as a small request.
    """
    left, results = deque(enumerate(items)), dict[int, Result]()

    def work() -> None:
        while left:
            try:
                number, item = left.popleft()
            except IndexError:
                return
            try:
                results[number] = function(item)
            except BaseException:
                left.clear()
                raise

    total = len(left)
    with turn(turns), ThreadPoolExecutor(SHARD_THREADS) as threads:
        try:
            workers = [threads.submit(copy_context().run, work)]
            if _needs_more(workers[0], left, results):
                more = range(min(SHARD_THREADS - 1, len(left)))
                workers += [threads.submit(copy_context().run, work) for _ in more]
            for worker in workers:
                worker.result()
        finally:
            left.clear()
    return [results[number] for number in range(total)]


@contextmanager
def turn(turns: Semaphore = REQUESTS) -> Iterator[None]:
    """A block of work over many files, which waits while others have enough for the process to do.

    More of them at once would take turns with one interpreter, at each of their calls. Where the process
    mostly waits, for storage or for a disk, all begin.
    """
    has_turn = turns.acquire(blocking=False)
    while not has_turn:
        began, used = time.perf_counter(), time.process_time()
        has_turn = turns.acquire(timeout=LOOK_SECONDS)
        if not has_turn and _mostly_waits(began, used):
            break
    try:
        yield
    finally:
        if has_turn:
            turns.release()


def _needs_more(worker: Future[None], left: Collection[object], done: Collection[object]) -> bool:
    """Watch one thread at work, until nothing is left, or more threads would help: the process is seen to
    wait more than it works, or items take long.

    Where services answer faster than one interpreter asks, more threads only wait for it, and a fifth of the
    processor's time goes into taking turns.
    """
    started = time.perf_counter()
    while left:
        began, used = time.perf_counter(), time.process_time()
        with suppress(NotYet):
            worker.result(timeout=LOOK_SECONDS)
        if _mostly_waits(began, used):
            return True
        if time.perf_counter() - started > LONG_SECONDS * max(5, len(done)):
            return True
    return False


def _mostly_waits(began_seconds: float, used_seconds: float) -> bool:
    """Whether the process has waited more than it worked since these readings of its clocks."""
    used = time.process_time() - used_seconds
    return used < BUSY_SHARE * (time.perf_counter() - began_seconds)


def run_bounded(
    starts: Iterable[Callable[[], PrefectFuture[Result]]], at_once: int
) -> Generator[tuple[int, Result] | None, None, None]:
    """Start Prefect tasks, at most so many at once, and give each result, with its number, as it comes; None
    for each second in which none has.

    After a failure none is started any more; it is raised once those under way have ended. They are waited
    for too if whoever takes the results stops: use `contextlib.closing`.
    """
    left, told = iter(enumerate(starts)), SimpleQueue[PrefectFuture[Result]]()
    under_way: dict[PrefectFuture[Result], int] = {}
    failed: list[PrefectFuture[Result]] = []
    try:
        while not failed:
            for number, start in islice(left, at_once - len(under_way)):
                future = start()
                under_way[future] = number
                future.add_done_callback(told.put)
            if not under_way:
                return
            if (future := _find_ended(told, under_way)) is None:
                yield None
                continue
            number = under_way.pop(future)
            if find_failure(future) is None:
                yield number, future.result()
            else:
                failed.append(future)
    finally:
        wait(list(under_way))
    _gather_results([*failed, *(future for future in under_way if find_failure(future) is not None)])


def _find_ended(
    told: SimpleQueue[PrefectFuture[Result]], under_way: Collection[PrefectFuture[Result]]
) -> PrefectFuture[Result] | None:
    """One that has ended, as soon as it tells, or by a look at all after a second: what has ended counts,
    told or not. None if none has."""
    with suppress(Empty):
        while (future := told.get(timeout=TICK_SECONDS)) not in under_way:
            pass
        return future
    return next(filter(has_ended, under_way), None)


def has_ended(future: PrefectFuture) -> bool:
    # Not prefect.futures.wait: its time limit takes the process's alarm.
    try:
        future.result(timeout=0, raise_on_failure=False)
    except TimeoutError:
        return False
    return True


def _gather_results(futures: Sequence[PrefectFuture[Result]]) -> list[Result]:
    """The results of Prefect tasks, once all have ended. Raises the first failure, and says how many."""
    wait(list(futures))
    failures = [error for future in futures if (error := find_failure(future)) is not None]
    if not failures:
        return [future.result() for future in futures]
    if len(failures) > 1 and isinstance(failures[0], FanOutError):
        raise type(failures[0])(f"{failures[0]} (and {len(failures) - 1} more failed)") from failures[0]
    raise failures[0]


def try_each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function's results, one after the other. Each is tried whatever becomes of the others; then the
    failures are raised, as one if all are ours."""
    results, failures = list[Result](), list[Exception]()
    for item in items:
        try:
            results.append(function(item))
        except Exception as error:
            failures.append(error)
    if len(failures) > 1 and all(isinstance(error, FanOutError) for error in failures):
        raise type(failures[0])("\n".join(map(str, failures))) from failures[0]
    if failures:
        raise failures[0]
    return results


def list_results(futures: Iterable[PrefectFuture[Result]]) -> list[Result]:
    """What those of the Prefect tasks have returned that have not failed."""
    # Asked once each, which takes Prefect more than a millisecond.
    found = [future.result(raise_on_failure=False) for future in futures]
    return [result for result in found if not isinstance(result, BaseException)]


def find_failure(future: PrefectFuture) -> BaseException | None:
    result = future.result(raise_on_failure=False)
    return result if isinstance(result, BaseException) else None
