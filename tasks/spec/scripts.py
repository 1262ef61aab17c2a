"""Arguments that a program reads as program text, where the name of a file would be read so too."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interpreter:
    """How a program is told a script in its arguments."""

    programs: re.Pattern[str]
    option: re.Pattern[str]
    is_shell: bool = False


INTERPRETERS = (
    Interpreter(re.compile(r"(ba|da|k|z|a|)sh|fish|su|runuser"), re.compile(r"-[A-Za-z]*c[A-Za-z]*"), True),
    Interpreter(re.compile(r"(pwsh|powershell)(\.exe)?"), re.compile(r"(?i)-c(ommand)?"), True),
    Interpreter(re.compile(r"python[\d.]*|pypy[\d.]*"), re.compile(r"-[A-Za-z]*c")),
    Interpreter(re.compile(r"perl|ruby"), re.compile(r"-[A-Za-z]*[eE]")),
    Interpreter(re.compile(r"node|bun"), re.compile(r"-e|-p|-pe|--eval|--print")),
    Interpreter(re.compile(r"R|Rscript|lua[\d.]*|julia|groovy"), re.compile(r"-[eE]|--eval")),
    Interpreter(re.compile(r"php[\d.]*"), re.compile(r"-r|--run")),
)
# Options that are followed by a word of theirs.
WITH_WORD = re.compile(r"[-+][oOWXI]|--rcfile|--init-file")


def find_scripts(words: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """The (program, script, whether that is a shell's) of a command, also behind a program such as `nice`."""
    for number, word in enumerate(words):
        name = os.path.basename(word)
        for one in INTERPRETERS:
            if one.programs.fullmatch(name) and (script := _find_script(one, words[number + 1 :])):
                yield name, script, one.is_shell


def _find_script(interpreter: Interpreter, words: Sequence[str]) -> str | None:
    """What follows the option that says so, unless a script's file comes before."""
    is_told, is_of_option = False, False
    for word in words:
        if is_told and not (interpreter.is_shell and word.startswith("-")):
            return word
        if not word.startswith(("-", "+")) and not is_of_option:
            return None
        is_told = is_told or interpreter.option.fullmatch(word) is not None
        is_of_option = WITH_WORD.fullmatch(word) is not None
    return None
