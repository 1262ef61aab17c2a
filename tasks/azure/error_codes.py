"""The error codes by which this product tells answers of Azure Batch and Azure Storage apart.

A code that no service has is never answered, so that what waits for it never happens: the type checker
refuses one that is not listed here, and a test one that is in neither service's own list.
"""

from typing import Literal, TypeAlias

Code: TypeAlias = Literal[
    "ConditionNotMet",
    "ContainerAlreadyExists",
    "ContainerBeingDeleted",
    "ContainerNotFound",
    "JobBeingDeleted",
    "JobBeingTerminated",
    "JobCompleted",
    "JobExists",
    "JobNotFound",
    "OperationInvalidForCurrentState",
    "PoolBeingDeleted",
    "PoolBeingResized",
    "PoolExists",
    "PoolNotFound",
    "TaskExists",
    "TooManyEnableAutoScaleRequests",
]

# Those by which a job says that it takes no more tasks.
ENDED_JOB: tuple[Code, ...] = ("JobCompleted", "JobBeingTerminated", "JobNotFound", "JobBeingDeleted")
# 409 answers that pass by themselves, if only after minutes: the name is free once the deletion is done.
PASSING: tuple[Code, ...] = (
    "ContainerBeingDeleted",
    "PoolBeingDeleted",
    "JobBeingDeleted",
    "PoolBeingResized",
    "OperationInvalidForCurrentState",
)


def read_code(error: BaseException) -> str:
    """The service's own code of an error answer, such as `PoolExists`; "" where there is none."""
    model = getattr(error, "model", None)
    code = getattr(model, "code", None) or getattr(error, "error_code", None) or ""
    return str(getattr(code, "value", code))


def has_code(error: BaseException, *codes: Code) -> bool:
    """Whether a service answered with one of these codes."""
    return read_code(error) in codes
