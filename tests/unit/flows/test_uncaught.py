"""What a script shows of an error that it doesn't catch."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from flows.uncaught import ROOT, _build_hook
from tasks.errors import FanOutError, FilesFailedError
from tasks.logs import TOLD

# As `asyncio.run` or a command of click's, which stand between two lines of a script.
LIBRARY = """
def call(function, argument):
    function(argument)

def run():
    raise error
"""
SCRIPT = """
def main(run):
    run()

call(main, run)
"""


def let_fail(error: Exception, script: str = "/home/me/go.py") -> tuple[type[Exception], Exception, object]:
    """What a hook is given of an error that a script, run as a module, got out of something else."""
    library: dict[str, Any] = {"error": error}
    exec(compile(LIBRARY, f"{sysconfig.get_path('purelib')}/some.py", "exec"), library)
    names = {"run": library["run"], "call": library["call"]}
    run_module: dict[str, Any] = {"code": compile(SCRIPT, script, "exec"), "names": names}
    with pytest.raises(type(error)) as caught:
        exec(compile("exec(code, names)", "<frozen runpy>", "exec"), run_module)
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


@pytest.mark.parametrize(
    "script", [ROOT / "flows_of_mine.py", Path(sys.base_prefix) / "src/app/go.py", "<string>"]
)
def test_a_script_may_stand_anywhere(script, capsys):
    """Beside us, below what Python is installed in, or on the command line."""
    _build_hook(lambda *_: pytest.fail("all is shown"))(*let_fail(FanOutError("no"), str(script)))
    assert capsys.readouterr().err == f'File "{script}", line 3, in main\nFanOutError: no\n'


def test_an_error_without_a_script_is_shown_whole(capsys):
    """Where nobody's line is found nothing is left out."""
    left: list[BaseException] = []
    error = FanOutError("no")
    _build_hook(lambda kind, error, trace: left.append(error))(FanOutError, error, None)
    assert left == [error]
    assert capsys.readouterr().err == ""
