"""Waiting for what is being deleted or resized: on Azure that takes minutes, and ends by itself."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tasks.base.deadlines import current_deadline, turns
from tasks.errors import BusyError
from tasks.logs import run_logger

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def waiting_while_busy(step: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Do a step again, as a whole, as long as it raises BusyError and the run has time.

    A retry of Prefect's each few seconds would be a state and a line of the log each time.
    """

    @functools.wraps(step)
    def wait_and_do(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        busy = BusyError()
        for _ in turns():
            try:
                return step(*args, **kwargs)
            except BusyError as error:
                busy = error
            if current_deadline().is_news(str(busy)):
                run_logger().info("%s Waiting until that is over.", busy)
        raise BusyError(f"{busy} That was not over when time was up.") from busy

    return wait_and_do
