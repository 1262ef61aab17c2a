"""What Prefect retries and remembers of each step, as it stands beside it."""

import importlib
import inspect
import pkgutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Queue
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

import tasks
from tasks.azure.uploaded_blobs import UploadedBlobs
from tasks.prefect.caching import WhileUnchanged
from tasks.spec.work import WorkItems
from tasks.step import opaque

MODULES = [importlib.import_module(found.name) for found in pkgutil.walk_packages(tasks.__path__, "tasks.")]
STEPS = {
    step.name: step
    for module in MODULES
    for step in vars(module).values()
    if isinstance(step, Task) and step.fn.__module__ == module.__name__
}
# Things that are many, and that `as_whole` hides from Prefect.
WHOLES = (list, dict, bytearray, UploadedBlobs, WorkItems)


def lines_above(step: Task) -> list[str]:
    """The lines of a module above a step, its decorators included."""
    function = inspect.unwrap(step.fn)
    lines, start = inspect.findsource(function)
    return lines[: start + 1]


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_is_cached_by_the_live_thing_or_says_why_not(step):
    """A cached step computes its key again when it has run; any other says why it can't be cached."""
    if isinstance(step.cache_policy, WhileUnchanged):
        assert hasattr(step.fn, "__wrapped__"), "put @keyed_afterwards under @task"
        assert step.result_serializer == "json"
        return
    assert step.cache_policy == NO_CACHE
    above = [line.strip() for line in lines_above(step)]
    decorator = max(number for number, line in enumerate(above) if line.startswith("@task("))
    comments = [line for line in above[max(0, decorator - 4) : decorator] if line.startswith("#")]
    assert any(line.startswith("# Not cached") for line in comments)


def test_the_steps_of_the_tutorial_are_cached():
    """All that make something, and may find it made; and a question to somebody who is asked seldom."""
    cached = {name for name, step in STEPS.items() if isinstance(step.cache_policy, WhileUnchanged)}
    assert cached == {
        "create containers",
        "upload application",
        "upload input",
        "upload inputs",
        "create pool",
        "create job",
        "add tasks",
        "close job",
        "download output",
        "download outputs",
        "look up prices",
    }


def test_what_grows_with_the_files_is_returned_as_a_whole():
    """Prefect would keep a note of each item of a list or dictionary, as long as the flow runs."""
    item_by_item = {name for name, step in STEPS.items() if is_item_by_item(find_returned(step))}
    assert item_by_item == {"create containers", "look at remote files", "find resources", "find pools"}


def find_returned(step: Task) -> Any:
    """The type of a step's result; of one that names its own state, the type of what is in that."""
    returned = get_type_hints(inspect.unwrap(step.fn))["return"]
    return get_args(returned)[0] if get_origin(returned) is State else returned


def is_item_by_item(returned: Any) -> bool:
    if get_origin(returned) not in (list, tuple, dict):
        return False
    item = get_args(returned)[0]
    return get_origin(returned) is dict or (get_origin(item) or item) not in WHOLES


def test_what_is_retried_takes_only_what_can_be_read_again():
    """A second try would find an iterator empty, or a queue."""
    taken = {
        name: parameters
        for name, step in STEPS.items()
        if step.retries and (parameters := [*find_read_once(inspect.unwrap(step.fn))])
    }
    assert taken == {}
    with pytest.raises(TypeError, match="empty"):
        opaque(iter([]))


def find_read_once(function: Callable[..., Any]) -> Iterator[str]:
    """The parameters of a function that may be read up by its first call."""
    for name, taken in get_type_hints(function).items():
        if name != "return" and (get_origin(taken) or taken) in (Iterable, Iterator, Generator, deque, Queue):
            yield name


def test_a_generator_is_found_among_parameters():
    """Also under its wider name, by which a caller may hand in any of them."""

    def read(whole: Sequence[int], once: Iterable[int], also: Iterator[int], plain: int) -> Iterator[int]: ...

    assert [*find_read_once(read)] == ["once", "also"]
