"""Text from nodes, blobs, file names and services, made fit for a log, a state, an event or a terminal."""

import re
import unicodedata

from tasks.base.hidden import hide

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Controls, which steer a terminal or end a database's text; lone surrogates, which are no UTF-8; and what
# turns the direction of the text around it, so that it reads as what it is not.
UNPRINTABLE = {"Cc", "Cs"}
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# What makes a link, an image or an element of what follows: broken by a character that is not seen.
MARKUP = re.compile(r"\](?=[(\[:])|<(?=[^\s=\d])")
WORD_JOINER = "\N{WORD JOINER}"


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


class Markup(str):
    """Markdown of our own, in which nothing is what a file, a program or a service has said."""


def make_inert(text: str) -> str:
    """The text for where one dashboard reads Markdown and the other shows it as it is: looking the same, but
    no link, image or element. Such a link may hold a program, which would run with the dashboard's key."""
    return MARKUP.sub(lambda found: f"{found[0]}{WORD_JOINER}", make_printable(text))


def make_plain(text: str) -> str:
    """The text with nothing in it that Markdown would take for more."""
    return re.sub(r"([\\`*_\[\]<>#|~&!])", r"\\\1", text)


def make_code(text: str) -> str:
    """The text as code within a line of Markdown, whatever backticks and lines are in it."""
    text = text.replace("\n", REPLACEMENT)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def show_name(name: str) -> str:
    """A path or a name in a sentence: as it is, or in quotes if it can't be seen where it begins and ends, or
    what is in it."""
    is_plain = name and name.isprintable() and name == name.strip() and "  " not in name
    return name if is_plain else repr(name)


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
