"""Why an attempt to run a task failed, in the service's words.

    AttemptFailed       ends an attempt with a `Failure`

Categories and most messages: REST documentation "Batch Status and Error Codes", table of task
scheduling errors; further codes: `TaskFailureInformationCodes` of the .NET client, for containers
Azure/Batch issue 4 and nextflow-io/nextflow pull request 2099. Messages are without the documentation's
full stops, as the service answers them.
"""

from __future__ import annotations

from typing import Literal

from batch_emulator.node.launch import Failure

_USER: Literal["UserError"] = "UserError"
_SERVER: Literal["ServerError"] = "ServerError"

_KNOWN: dict[str, tuple[Literal["UserError", "ServerError"], str]] = {
    "BlobNotFound": (_USER, "One of the specified Azure Blob(s) is not found"),
    "BlobAccessDenied": (_USER, "Access for one of the specified Azure Blob(s) is denied"),
    "BlobDownloadTimedOut": (
        _SERVER,
        "Timeout encountered while downloading one of the specified Azure Blob(s)",
    ),
    "BlobDownloadMiscError": (
        _SERVER,
        "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)",
    ),
    "ResourceContainerNotFound": (_USER, "One of the specified Azure Blob container(s) is not found"),
    "ResourceContainerAccessDenied": (
        _USER,
        "Access for one of the specified Azure Blob container(s) is denied",
    ),
    "ResourceContainerListMiscError": (
        _SERVER,
        "Miscellaneous error encountered while listing one of the specified Azure Blob container(s)",
    ),
    "ResourceDirectoryCreateFailed": (
        _SERVER,
        "Failure encountered creating resource directory for the task",
    ),
    "ResourceFileCreateFailed": (_SERVER, "Failure encountered creating resource file"),
    "ResourceFileWriteFailed": (_SERVER, "Failure encountered writing resource file"),
    "ContainerInvalidImage": (_USER, "One or more container images specified are invalid"),
    "ContainerInvalidSettings": (_USER, "At least one value of specified task container settings is invalid"),
    "DiskFull": (_SERVER, "There is not enough disk space on the node that was selected to run the task"),
    "CommandProgramNotFound": (_USER, "The specified command program is not found"),
    "CommandLaunchFailed": (_USER, "Failed to launch the specified command line"),
    "FailureExitCode": (_USER, "The task exited with an exit code representing a failure"),
    "TaskEnded": (_USER, "The task was ended by user request"),
    "FileUploadContainerNotFound": (
        _USER,
        "One of the specified Azure container(s) was not found while attempting to upload an output file",
    ),
    "FileUploadAccessDenied": (_USER, "Access to one of the specified file upload destinations was denied"),
    "FileUploadMiscError": (
        _USER,
        "A miscellaneous error was encountered while uploading one of the output files",
    ),
    "Unknown": (_SERVER, "An unknown scheduling error has occurred"),
}


class AttemptFailed(Exception):
    """The attempt can't go on; `failure` says why."""

    def __init__(self, code: str, **details: str):
        self.failure = make_failure(code, **details)
        super().__init__(f"{self.failure.message} ({code})")


def make_failure(code: str, **details: str) -> Failure:
    """The failure of this code with `details` as its name/value pairs, in the order given."""
    category, message = _KNOWN[code]
    return Failure(category, code, message, tuple((name, _text(value)) for name, value in details.items()))


def _text(value: str) -> str:
    # File names need not be valid UTF-8; answers must be.
    return value.encode("utf-8", "replace").decode()


def nonzero_exit() -> Failure:
    return make_failure(
        "FailureExitCode",
        Message="The task process exited with an unexpected exit code",
        AdditionalErrorCode="FailureExitCode",
    )


def program_not_found() -> AttemptFailed:
    return AttemptFailed("CommandProgramNotFound", Message="The system cannot find the file specified")


def limit_exceeded() -> Failure:
    """The service ends the task as if a user had asked for it, and says which limit in the details."""
    return make_failure("TaskEnded", Message="The maximum execution time configured on the task was exceeded")
