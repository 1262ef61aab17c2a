"""What can be asked to go wrong in a local Batch service."""

from batch_emulator.faults.rules import (
    RESIZE_ERRORS,
    AllocationFault,
    DiskFault,
    Faults,
    NodeFault,
    RequestFault,
    Rule,
    StartTaskFault,
)

__all__ = [
    "RESIZE_ERRORS",
    "AllocationFault",
    "DiskFault",
    "Faults",
    "NodeFault",
    "RequestFault",
    "Rule",
    "StartTaskFault",
]
