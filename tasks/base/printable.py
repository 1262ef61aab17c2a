"""Text from nodes, blobs, file names and services, made fit for a log, a state, an event or a terminal."""

import unicodedata

from tasks.base.hidden import hide

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Controls, which steer a terminal or end a database's text; lone surrogates, which are no UTF-8; and what
# turns the direction of the text around it, so that it reads as what it is not.
UNPRINTABLE = {"Cc", "Cs"}
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def make_printable(text: str) -> str:
    """The text with a mark in the place of each character that no reader is to get, and of each secret; lines
    and tabs stay."""
    text = hide(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_replace(letter) for letter in text.replace("\r\n", "\n"))


def _replace(letter: str) -> str:
    if letter in "\n\t":
        return letter
    is_unprintable = letter in DIRECTIONS or unicodedata.category(letter) in UNPRINTABLE
    return REPLACEMENT if is_unprintable else letter


def say_count(count: int, noun: str) -> str:
    """A number of things in words that agree with it: "1 node", "2 nodes"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def make_json_printable(value: object) -> object:
    """The same for each text in a JSON value, names of fields too."""
    if isinstance(value, str):
        return make_printable(value)
    if isinstance(value, list | tuple):
        return [make_json_printable(item) for item in value]
    if isinstance(value, dict):
        return {make_json_printable(name): make_json_printable(item) for name, item in value.items()}
    return value
