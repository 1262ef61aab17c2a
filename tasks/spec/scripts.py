"""Arguments that a program reads as program text, where the name of a file would be read so too."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NEVER = re.compile(r"(?!)")
PLACE = re.compile(r"\{(?:application|input|name|output)\}")
# A path made of places, also as an option's: nothing else of a word may have one beside other text.
PATH = re.compile(r"(?:--[\w-]+=)?(?:(?!-)[\w.+@%,/-]*/)?(?:\{\w+\}[\w.+@%,-]*)(?:/?\{\w+\}[\w.+@%,-]*)*")


@dataclass(frozen=True)
class Interpreter:
    """How a program is told a script in its arguments."""

    programs: re.Pattern[str]
    option: re.Pattern[str]
    is_shell: bool = False
    takes_file: bool = True
    """Whether its first argument, if that is no option, is a script's file, which has all that follows."""

    takes_all: bool = False
    """Whether the script is all that follows, in several words."""

    takes_one: bool = False
    """Whether what follows the script are its arguments, and no options any more."""

    module: re.Pattern[str] = NEVER
    """An option behind which all is the script's."""


def _known(programs: str, option: str, module: str = "(?!)", **ways: bool) -> Interpreter:
    return Interpreter(re.compile(programs), re.compile(option), module=re.compile(module), **ways)


SHELL_OPTION = r"-[A-Za-z]*c[A-Za-z]*|--(session-)?command"
INTERPRETERS = (
    _known(r"(ba|da|k|mk|pdk|z|a|c|tc|rba)?sh|fish", SHELL_OPTION, is_shell=True, takes_one=True),
    _known(r"su|runuser|script|flock", SHELL_OPTION, is_shell=True, takes_file=False),
    _known(r"(pwsh|powershell)(\.exe)?", r"(?i)-c(om?m?a?n?d?)?", is_shell=True, takes_all=True),
    _known(r"ssh|rsh|watch|parallel", "", is_shell=True, takes_file=False, takes_all=True),
    _known(r"(python|pypy|ipython)[\d.]*", r"-[A-Za-z]*c", module=r"-[bBdEiIOPqsSuvx]*m", takes_one=True),
    _known(r"(perl|ruby|jruby)[\d.]*", r"-(?![CDFIMmx])[A-Za-z\d]*[eE]"),
    _known(r"node(js)?|bun", r"-[ip]*[ep]+|--eval|--print"),
    _known(r"deno", r"eval|--print|-p"),
    _known(r"Rscript|lua[\d.]*|luajit|julia|groovy|scala|elixir", r"-[eE]|--eval|--print"),
    _known(r"php[\d.]*", r"-[rBRE]|--run|--process-(begin|code|end)"),
    _known(r"[gmn]?awk|sed|R|gdb", r"-[A-Za-z]*ex?|--expression|--source", takes_file=False),
    _known(
        r"octave(-cli)?|matlab|gnuplot|guile[\d.]*|sbcl|erl|emacs|vim?",
        r"--?(e|c|r|eval|batch)",
        takes_file=False,
    ),
)
# What runs the program in its arguments: behind options, numbers, settings and sub-commands.
WRAPPERS = re.compile(
    r"env|sudo|doas|nice|ionice|nohup|timeout|time|xargs|stdbuf|setsid|taskset|numactl|strace|exec|command|busybox"
    r"|conda|mamba|micromamba|pixi|uv|poetry|pipenv|pdm|hatch|rye|srun|mpirun|mpiexec|xvfb-run|tini|dumb-init"
    r"|catchsegv|valgrind|systemd-run|setpriv|unshare|perf|uvx|npx|bunx|pipx"
)
BETWEEN = re.compile(r"[-+].*|\w+=.*|\d[\w.:,-]*|run|exec|stat|record")
# Those that take words of their own before: any that follows may be the program.
LOOSE_WRAPPERS = re.compile(
    r"chroot|gosu|su-exec|docker|podman|nerdctl|singularity|apptainer|find|flock|script"
)
# Options that are certainly not followed by a word of theirs.
FLAG = re.compile(r"--?[\w-]+=.*|--vanilla|--no-[\w-]+|-[bBdEIiOPqsSuwxeTv]+")
# Behind options of whatever kind it is the script, unless they have told one.
APPLICATION = "{application}"
FILE = re.compile(r"\{application\}|.*[^/]\.[A-Za-z]\w{0,4}")


def find_readers(words: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The programs of a command, behind others such as `nice` too, that would read a place in it as program
    text, and whether that is a shell."""
    if is_split := _find_split(words):
        yield "env", False
    words = words if is_split else [*_split_words(words)]
    for number in _find_programs(words):
        name = os.path.basename(words[number])
        for one in INTERPRETERS:
            if one.programs.fullmatch(name) and _reads_place(one, words[number + 1 :]):
                yield name, one.is_shell


def _find_split(words: Sequence[str]) -> bool:
    """Whether a text that `env -S` splits has a place."""
    return any(PLACE.search(text) for _, text in _list_split(words) if text)


def _list_split(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Each word, and the text that it, or the one before, lets `env` split."""
    is_env = is_told = False
    for word in words:
        found = re.fullmatch(r"(-[i0v]*S|--split-string=?)(.*)", word, re.DOTALL) if is_env else None
        yield word, word if is_told else (found[2] if found else None)
        is_told = found is not None and not found[2]
        is_env = os.path.basename(word) == "env" or (
            is_env and (is_told or BETWEEN.fullmatch(word) is not None)
        )


def _split_words(words: Sequence[str]) -> Iterator[str]:
    """The words as `env -S` leaves them."""
    for word, text in _list_split(words):
        try:
            yield from [word] if text is None else shlex.split(text)
        except ValueError:
            yield word


def _find_programs(words: Sequence[str]) -> Iterator[int]:
    """Where programs stand: the first word, and what is behind wrappers."""
    is_wrapped, is_loose, is_behind_option = True, False, False
    for number, word in enumerate(words):
        name = os.path.basename(word)
        if not (is_wrapped or is_loose):
            return
        yield number
        if WRAPPERS.fullmatch(name) or LOOSE_WRAPPERS.fullmatch(name):
            is_wrapped, is_loose = True, is_loose or LOOSE_WRAPPERS.fullmatch(name) is not None
        elif is_wrapped and not is_behind_option and (number == 0 or BETWEEN.fullmatch(word) is None):
            is_wrapped = False
        is_behind_option = (
            is_wrapped and number > 0 and word != "--" and word.startswith("-") and "=" not in word
        )


def _reads_place(interpreter: Interpreter, words: Sequence[str]) -> bool:
    """Whether a place stands where the program, or an option of its, may take it for a script."""
    is_told = interpreter.takes_all and not interpreter.takes_file
    may_be_file = interpreter.takes_file
    for before, word in zip(["", *words], words, strict=False):
        is_option, is_first = word.startswith(("-", "+")), before == ""
        is_application = interpreter.takes_file and not is_told and word == APPLICATION
        if interpreter.module.fullmatch(word):
            return False
        if interpreter.option.fullmatch(word.partition("=")[0]):
            is_told = True
            if "=" in word and PLACE.search(word):
                return True
        elif is_told and not is_option:
            if PLACE.search(word):
                return True
            if interpreter.takes_one:
                return False
            is_told = interpreter.takes_all
        elif is_application or (may_be_file and not is_option and (is_first or FILE.fullmatch(word))):
            return False
        if PLACE.search(word) and not _is_path(word, before):
            return True
        may_be_file = may_be_file and FLAG.fullmatch(word) is not None
    return False


def _is_path(word: str, before: str) -> bool:
    """Whether a word with a place is a path, or a setting's behind `awk -v`."""
    return PATH.fullmatch(word.partition("=")[2] if before == "-v" and "=" in word else word) is not None
