"""The logger of whatever runs: a flow run, a task run, or neither."""

import logging

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger

from tasks.base.printable import make_printable
from tasks.errors import FanOutError

# What marks an error that the log has told.
TOLD = "_was_told"
TASK_RUNS = "prefect.task_runs"
# Of each file, where a run has many: that its task run has ended well can be seen in the dashboard.
COMMONPLACE = ("Finished in state Completed(", "Finished in state Cached(", "Finished in state Unchanged(")
FAILED = "Finished in state Failed("
FAILING = "Encountered exception during execution"
# What was told before; and that a hook is called, which tells itself what there is to tell.
NO_NEWS = ("Engine execution exited with unexpected exception", "Running hook ", "Hook ")


# Where Azure's libraries warn, with a traceback, of each answer whose body they can't read: one to a HEAD has
# none. What it says our errors tell.
READERS = ("azure.batch._utils.model_base", "azure.storage.blob._shared.response_handlers")


def run_logger() -> logging.Logger | logging.LoggerAdapter:
    try:
        return get_run_logger()
    except MissingContextError:
        return get_logger("fan_out")


def quieten_logs() -> None:
    """Log a step and not each file's task run, and an error of ours without its traceback; all with DEBUG."""
    for name in (TASK_RUNS, "prefect.flow_runs", "prefect.engine"):
        get_logger(name).addFilter(_is_worth_a_line)
    for name in READERS:
        logging.getLogger(name).addFilter(_is_asked_for)


def keep_logs_printable() -> None:
    """Let no control character of a file's name, a program or a service into a log, here or on the server."""
    for name in (TASK_RUNS, "prefect.flow_runs", "prefect.engine", "prefect.fan_out"):
        get_logger(name).addFilter(_make_printable)


def _make_printable(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if (text := make_printable(message)) != message:
        record.msg, record.args = text, ()
    return True


def _is_asked_for(record: logging.LogRecord) -> bool:
    """Whether somebody wants to see what the libraries do."""
    return logging.getLogger(record.name).isEnabledFor(logging.INFO)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    if logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
        return True
    if record.exc_info and isinstance(record.exc_info[1], FanOutError):
        _make_plain(record, record.exc_info[1])
    message = record.getMessage()
    if message.startswith(FAILED):
        # Prefect repeats the whole of the error, which is the line before.
        record.msg, record.args = message.partition("\\n")[0], ()
    is_commonplace = record.name == TASK_RUNS and message.startswith(COMMONPLACE)
    return not (is_commonplace or message.startswith(NO_NEWS))


def _make_plain(record: logging.LogRecord, error: FanOutError) -> None:
    """Have a record say what the error says, as it would be read, and no traceback."""
    record.exc_info = record.exc_text = None
    record.is_expected = True
    if record.getMessage().startswith(FAILING):
        record.msg, record.args = f"{type(error).__name__}: {error}", ()
        setattr(error, TOLD, True)


def was_told(error: BaseException) -> bool:
    """Whether the log has the whole of the error's message."""
    return getattr(error, TOLD, False)
