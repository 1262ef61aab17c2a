"""What no message of ours may have: names of Python's, and words that contradict their numbers."""

import re

NONSENSE = {
    "a member of an enumeration": re.compile(r"\b[A-Z]\w*[a-z]\.[A-Z][A-Z_]+\b"),
    "an object": re.compile(r"<[\w.]+ object|\bobject at 0x|<class '"),
    "a value of Python's": re.compile(r"(?<![\w'])(None|True|False)(?![\w'])"),
    "the words of a library for connections": re.compile(r"HTTPS?Connection|Max retries|Caused by|\('"),
    "a container of Python's": re.compile(r"\bdatetime\.|\b(frozenset|OrderedDict|Undefined)\("),
    "one of many": re.compile(r"(?<!of )\b1 (files|nodes|tasks|times|outputs|seconds|minutes|resources)\b"),
    "one out of one": re.compile(r"\b(\d[\d,]*) of \1 files failed|none of its 1 nodes"),
    "an empty place": re.compile(r": ;|; ;|\(\)|\.\.(?!\.)(?<!\.\.\.)(?=\s|$)"),
}


def find_nonsense(message: str) -> list[str]:
    """What of that a message has."""
    return [
        f"{what}: {match[0]!r} in {message!r}"
        for what, one in NONSENSE.items()
        if (match := one.search(message))
    ]
