"""What in a command only a shell would understand: pointed out before anything runs, as none reads it.

A sign in quotes, or behind a backslash, is meant as part of an argument.
"""

import re
from collections.abc import Iterator

from tasks.errors import InputError

# The parts of a word, and what is between words. A backslash at the end of a line joins it to the next one.
PART = re.compile(
    r"""(?P<blank>(?:\s|\\\r?\n)+)|(?P<single>'[^']*')|(?P<double>"(?:\\.|[^"\\])*")"""
    r"""|(?P<escaped>\\.)|(?P<plain>[^\s'"\\]+|.)""",
    re.DOTALL,
)
# Of parts that stand in no quotes.
SIGNS = re.compile(r"[|&;<>()`*?]|\$[\w{(?$@#!*-]")
SIGNS_IN_FRONT = re.compile(r"[~#]")
# In double quotes programs have texts with a $ of their own; a word that begins so is a variable.
VARIABLE = re.compile(r'"(\$[A-Za-z_{(]|`)')
OF_A_FILE = re.compile(r"\$\{?(?:FAN_OUT_)?(APPLICATION|INPUT|NAME|OUTPUT)\b", re.IGNORECASE)
TYPOGRAPHIC = re.compile(r"[“”„‘’—–]")
TYPED = {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "—": "--", "–": "-"}
# Words that shells carry out themselves, and no program has.
SHELL_WORDS = frozenset(
    re.split(
        " ",
        ". alias bg break case cd command continue declare do done elif else eval exec exit export fg fi "
        "for function hash if let local popd pushd readonly return select set shift source then trap type "
        "typeset ulimit umask unalias unset until wait while ! [[",
    )
)
IF_MEANT = "If it is meant so, put it in single quotes."
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


def join_lines(template: str) -> str:
    """The command with each line that ends in a backslash joined to the next one."""
    return PART.sub(lambda found: " " if found["blank"] else found[0], template)


def refuse_shell_signs(template: str, script_remedy: str) -> None:
    """Raise InputError for what would be handed to the program as it stands, and is mostly not meant so.

    `script_remedy` says how a command is written for which a shell is needed.
    """
    if "\0" in template:
        raise InputError(f"The command {template!r} holds a NUL, which no argument of a program can.")
    for number, word in enumerate(_split_words(template)):
        text = "".join(found[0] for found in word)
        for why in _find_signs(word, text, is_program=number == 0, remedy=script_remedy):
            raise InputError(f"The command {template!r} runs under no shell: {why}")


def _split_words(template: str) -> Iterator[list[re.Match[str]]]:
    word: list[re.Match[str]] = []
    for found in PART.finditer(template):
        if not found["blank"]:
            word.append(found)
        elif word:
            yield word
            word = []
    if word:
        yield word


def _find_signs(word: list[re.Match[str]], text: str, is_program: bool, remedy: str) -> Iterator[str]:
    """What is wrong with a word, in our words."""
    if is_program:
        yield from _find_no_program(text, remedy)
    if found := OF_A_FILE.search(text) if _has_sign(word) else None:
        yield f"nobody replaces {text}. Write {{{found[1].lower()}}}. {IF_MEANT}"
    if _has_sign(word):
        yield f"{text} would be an argument of the program, as it is written here. {remedy} {IF_MEANT}"
    yield from _find_lost_signs(word, text)


def _find_lost_signs(word: list[re.Match[str]], text: str) -> Iterator[str]:
    """What other systems and word processors make of a command."""
    if found := TYPOGRAPHIC.match(text):
        yield f"{text} begins with {found[0]}, which no program takes for {TYPED[found[0]]}. {IF_MEANT}"
    if lost := next((part[0] for part in word if part["escaped"] and part[0][1].isalnum()), None):
        yield f"{lost} in {text} would lose its backslash. Paths of nodes, under Linux, have /. {IF_MEANT}"


def _has_sign(word: list[re.Match[str]]) -> bool:
    if any(part["plain"] and SIGNS.search(part["plain"]) for part in word):
        return True
    first = word[0]
    return bool((SIGNS_IN_FRONT if first["plain"] else VARIABLE).match(first[0]))


def _find_no_program(text: str, remedy: str) -> Iterator[str]:
    if text in SHELL_WORDS:
        yield f"{text} is a word of the shell's, and no program. {remedy}"
    if ASSIGNMENT.fullmatch(text):
        yield f"{text} would be the program. Write env {text} ..., or name it in the task's environment."
    if text in ("''", '""'):
        yield "its first word, the program, is empty."
