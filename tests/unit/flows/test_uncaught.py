"""What a script shows of an error that it doesn't catch."""

import sys
from collections.abc import Callable

import pytest

from flows.uncaught import _build_hook
from tasks.errors import FanOutError, FilesFailedError
from tasks.logs import TOLD

SCRIPT = """
def main(run):
    run()

main(run)
"""


def let_fail(error: Exception) -> tuple[type[Exception], Exception, object]:
    """What a hook is given of an error that a script got out of something else."""

    def fail() -> None:
        raise error

    library: dict[str, Callable] = {"fail": fail}
    exec(compile("def run(): fail()", f"{sys.prefix}/lib/some.py", "exec"), library)
    with pytest.raises(type(error)) as caught:
        exec(compile(SCRIPT, "/home/me/go.py", "exec"), {"run": library["run"]})
    # Of the traceback's frames the first is this one.
    return type(error), error, caught.tb.tb_next


def test_an_uncaught_error_of_ours_says_where_and_why(capsys):
    """The script's own line and the message; what the log has told already is not said again."""
    left: list[BaseException] = []
    show = _build_hook(lambda kind, error, trace: left.append(error))
    show(*let_fail(FilesFailedError("2 of 3 files failed.\nb.txt: exit code 1")))
    assert capsys.readouterr().err == (
        'File "/home/me/go.py", line 3, in main\nFilesFailedError: 2 of 3 files failed.\nb.txt: exit code 1\n'
    )
    told = FanOutError("2 of 3 files failed.\nb.txt: exit code 1")
    setattr(told, TOLD, True)
    show(*let_fail(told))
    assert capsys.readouterr().err.endswith("\nFanOutError: 2 of 3 files failed.\n")
    other = ValueError("a fault")
    show(*let_fail(other))
    assert left == [other]
    assert capsys.readouterr().err == ""
