"""What can go wrong in a run, and whether a retry can heal it.

FanOutError
├── PermanentError            the same call would fail again
│   ├── SettingsError         an environment variable is missing or can't be read
│   │   └── MissingSettingsError   one that is needed is not set
│   ├── InputError            files, names, command or output folder are wrong; nothing was created
│   │   └── IdleNodesError    more nodes than files, which may be meant
│   ├── AccessError           an account refused the credentials
│   ├── RefusedError          a service refused a request for what is in it
│   │   └── NotFoundError     there is nothing of the name that it has
│   ├── PoolError             the pool can't run the tasks
│   ├── JobError              the job ended, or was deleted, before its tasks had run
│   │   └── JobEndedError     it had ended before all tasks were added, so it takes no more
│   ├── StallError            tasks wait, and for too long nothing has run or ended
│   ├── QuotaError            others held a quota of the account for longer than the run waits for it
│   ├── OutputsLeftError      what was to be deleted holds the only copy of an output
│   ├── CostLimitError        the nodes have cost as much as they may; what ran was finished
│   ├── RunTimeoutError       time was up before all Batch tasks had completed
│   └── FilesFailedError      some Batch tasks failed; the outputs of the others are collected
└── TemporaryError            throttling, a server's fault, a lost connection, a name still being deleted
    ├── BusyError             what is in the way is being deleted or resized, which ends by itself
    └── UnreachableError      nothing answers at an endpoint
"""

from typing import Any

from tasks.base.printable import make_printable


class FanOutError(Exception):
    """A run can't go on; the message says what is wrong, where, and what to do."""

    def __init__(self, message: str = ""):
        # It becomes the message of a state; part of it may come from a node or a service.
        super().__init__(make_printable(message))

    result: Any = None
    """What became of each file, a `tasks.spec.run_results.RunResult`; None of a run that did not get as far
    as its Batch tasks."""


class PermanentError(FanOutError):
    """The same call would fail again."""


class SettingsError(PermanentError):
    """An environment variable is missing, or its value can't be read."""


class MissingSettingsError(SettingsError):
    """An environment variable that is needed is not set."""


class InputError(PermanentError):
    """The run was described wrongly; raised before anything is created."""


class IdleNodesError(InputError):
    """The pool would have many nodes with nothing to do, and nobody has said that this is meant."""


class AccessError(PermanentError):
    """An account refused the credentials (401, 403)."""


class RefusedError(PermanentError):
    """A service refused a request for what is in it (other 4xx)."""


class NotFoundError(RefusedError):
    """A service has nothing of the name that a request has (404)."""


class PoolError(PermanentError):
    """The pool is another than the one asked for, or its nodes can't run tasks."""


class JobError(PermanentError):
    """The job ended, or was deleted, before its tasks had run."""


class JobEndedError(JobError):
    """The job had ended before all tasks were added, so it takes no more."""


class StallError(PermanentError):
    """Tasks wait, and for longer than the run may stand still none has run or ended."""


class QuotaError(PermanentError):
    """Others held a quota of the account for longer than the run waits for it."""


class OutputsLeftError(PermanentError):
    """A container holds the only copy of an output, which could not be fetched: it was not deleted."""


class CostLimitError(PermanentError):
    """The nodes have cost as much as they may (max_cost). What ran was finished."""


class RunTimeoutError(PermanentError):
    """Time was up before all Batch tasks had completed."""


class FilesFailedError(PermanentError):
    """Some files have no output: their Batch tasks failed, or wrote none. `result` has those of others."""


class TemporaryError(FanOutError):
    """A retry may succeed."""


class BusyError(TemporaryError):
    """What is in the way is being deleted or resized, which ends by itself, if only after minutes."""


class UnreachableError(TemporaryError):
    """Nothing answers at an endpoint."""
