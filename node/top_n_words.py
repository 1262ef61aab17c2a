"""Write the most common words of a text file: what runs on a compute node, once for each file.

Standard library only, Python 3.8 or newer. Words are split on white space, and punctuation of any script is
stripped from their ends; apostrophes and hyphens within words stay. What strips to nothing is no word and is
dropped. Words that are as common as one another stand in the order of their first appearance.

The text is UTF-8, or UTF-16 or UTF-32 with a byte order mark, or what --encoding says. A few bytes that are
none become the replacement character, with a warning; where most words have some, or the bytes are no text
at all, the script fails and says so.
"""

import argparse
import codecs
import os
import string
import sys
import time
from collections import Counter
from functools import partial
from itertools import islice

# So small that the words of a block are still in the processor's cache when they are counted.
BLOCK_SIZE = 1 << 16
RULE = "-" * 30
# UTF-32 first: its little-endian mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
TOKENS_AT_ONCE = 1000
# Of which what stands between white space is kept until its words are counted: 32 MB.
BLOCKS_AT_ONCE = 512
# What each encoding of texts has.
SAMPLE = "a b\n"
# White space to str.split and not to bytes.split.
ODD_SPACES = "\x1c\x1d\x1e\x1f"
REPLACEMENT = "\ufffd"
# Texts have none of these; a twelfth of compressed bytes are such.
CONTROLS = bytes(sorted(set(range(0x20)) - set(b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f\b")))
CONTROLS_PERCENT_MAX = 1


class NoTextError(Exception):
    """The file's bytes are no text in the encoding that is assumed."""


def main(argv=None):
    arguments = parse_arguments(argv)
    time.sleep(arguments.delay)
    try:
        counts = count_words(read_blocks(arguments.filepath, arguments.encoding))
        write_table(arguments.output, counts.most_common(arguments.numwords))
    except (OSError, NoTextError) as error:
        sys.exit(f"top_n_words: {arguments.filepath}: {error}")


def parse_arguments(argv):
    # A width that is given: to ask the terminal for it, argparse imports what takes longer than a small file.
    formatter = partial(argparse.HelpFormatter, width=100)
    parser = argparse.ArgumentParser(
        description="Write the most common words of a text file.", formatter_class=formatter
    )
    parser.add_argument("--filepath", required=True, help="the text file")
    parser.add_argument("--numwords", required=True, type=at_least_one, help="how many words to write")
    parser.add_argument("--output", help="the table's file (default: <name>_OUTPUT<suffix> in this folder)")
    parser.add_argument("--delay", type=seconds, default=0.0, help="seconds to sleep first, to simulate work")
    parser.add_argument(
        "--encoding",
        type=text_encoding,
        help="such as utf-16-le, cp1250 or latin-1 (default: what the byte order mark says, else utf-8)",
    )
    arguments = parser.parse_args(argv)
    if arguments.output is None:
        stem, suffix = os.path.splitext(os.path.basename(arguments.filepath))
        arguments.output = f"{stem}_OUTPUT{suffix}"
    return arguments


def at_least_one(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def seconds(text):
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def text_encoding(name):
    """The name as Python's, for which UTF-8 has one spelling."""
    try:
        # Refuses codecs that are none of text, such as hex, and those that can't read a text in parts.
        parts = codecs.iterdecode([bytes([one]) for one in SAMPLE.encode(name)], name, "replace")
        is_text, reason = "".join(parts) == SAMPLE, ""
    except (LookupError, UnicodeError) as error:
        is_text, reason = False, f": {error}"
    if not is_text:
        raise argparse.ArgumentTypeError(f"{name} is no encoding of texts{reason}")
    return codecs.lookup(name).name


def read_blocks(path, encoding=None):
    """Yield the text as UTF-8, in blocks of about BLOCK_SIZE: a line may be longer than memory.

    Raises NoTextError.
    """
    encoding = encoding or marked_encoding(path)
    if encoding == "utf-8":
        with open(path, "rb") as file:
            yield from checked(iter(lambda: file.read(BLOCK_SIZE), b""))
    else:
        with open(path, encoding=encoding, errors="replace", newline="") as text:
            blocks = iter(lambda: text.read(BLOCK_SIZE), "")
            yield from checked(block.encode("utf-8", "replace") for block in blocks)


def marked_encoding(path):
    with open(path, "rb") as file:
        start = file.read(4)
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), "utf-8")


def checked(blocks):
    """The blocks, unless the first shows that the file is no text."""
    for number, block in enumerate(blocks):
        if number == 0:
            check_text(block)
        yield block


def check_text(block):
    controls = len(block) - len(block.translate(None, CONTROLS))
    if controls * 100 > len(block) * CONTROLS_PERCENT_MAX:
        raise NoTextError(
            f"no text: {controls} of its first {len(block)} bytes are control characters. "
            "A compressed file must be unpacked first; for text in another encoding give --encoding"
        )


def split_words(blocks):
    """Yield lists of the words in the blocks, whole also where a block's end cuts one; some may be empty.

    Only ASCII white space splits here, which is part of no other character's bytes, and in a block that has
    none, that of other scripts: else a text without any would be one word, and all of it in memory.
    """
    cut = []
    for block in blocks:
        # The marks keep what touches the block's ends apart from what white space bounds.
        words = (b"|%b|" % block).split()
        if len(words) == 1:
            words = split_at_odd_spaces(words[0])
        if len(words) == 1:
            cut.append(block)
            continue
        cut.append(words[0][1:])
        words[0] = b"".join(cut)
        cut = [words.pop()[:-1]]
        yield words
    yield [b"".join(cut)]


def split_at_odd_spaces(token):
    """The parts of bytes without ASCII white space. A character that is cut at their ends stays as it is."""
    text = token.decode("utf-8", "surrogateescape")
    return [word.encode("utf-8", "surrogateescape") for word in text.split()]


def count_words(blocks):
    """Count the stripped words in the blocks of UTF-8, in the order of their first appearance.

    Bytes are counted, and only distinct ones decoded. Raises NoTextError.
    """
    raw, counts = Counter(), {}
    for number, words in enumerate(split_words(blocks), 1):
        raw.update(words)
        # Of a text with other white space these are its lines, nearly all of them distinct.
        if number % BLOCKS_AT_ONCE == 0:
            merge(raw, counts)
            raw.clear()
    merge(raw, counts)
    counts.pop("", None)
    check_words(counts)
    return Counter(counts)


def merge(raw, counts):
    """Add to the counts of words those of the bytes between ASCII white space."""
    get = counts.get
    numbers = iter(raw.values())
    for text in decode_some(raw):
        tokens = text.split("\n")
        if text.isascii() and not any(map(text.__contains__, ODD_SPACES)):
            stripped = [token.strip(string.punctuation) for token in tokens]
            for word, number in zip(stripped, numbers):  # noqa: B905 - Python 3.8
                counts[word] = get(word, 0) + number
        else:
            for token, number in zip(tokens, numbers):  # noqa: B905 - Python 3.8
                for word in split_token(token):
                    counts[word] = get(word, 0) + number


def decode_some(tokens):
    """Yield the tokens as text, many at once, a line each: a call for each would take longer."""
    tokens = iter(tokens)
    some = list(islice(tokens, TOKENS_AT_ONCE))
    while some:
        yield b"\n".join(some).decode("utf-8", "replace")
        some = list(islice(tokens, TOKENS_AT_ONCE))


def split_token(token):
    """The words in it: white space of other scripts may be within."""
    word = token.strip(string.punctuation)
    # Most have none, and end in letters.
    if word.isprintable() and word[:1].isalnum() and word[-1:].isalnum():
        return (word,)
    return map(strip_word, token.split())


def strip_word(word):
    """Without punctuation at its ends, and without what is invisible there, such as a byte order mark."""
    start, end = 0, len(word)
    while start < end and is_punctuation(word[start]):
        start += 1
    while start < end and is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def is_punctuation(character):
    # Here and not above: most files have none but ASCII, and so many are small.
    from unicodedata import category

    kind = category(character)
    return kind[0] == "P" or kind == "Cf" or character in string.punctuation


def check_words(counts):
    """Fail, or warn, where words have bytes that are not of the encoding."""
    broken = sum(count for word, count in counts.items() if REPLACEMENT in word)
    total = sum(counts.values())
    message = (
        f"{broken} of {total} words have bytes that are not of the encoding; give another with --encoding"
    )
    if broken * 2 > total:
        raise NoTextError(message)
    if broken:
        print(f"top_n_words: {message}", file=sys.stderr)


def write_table(path, rows):
    """Write (word, count) rows, then which node, task, job and pool made them."""
    with open(path, "w", encoding="utf-8") as table:
        table.write(f"Word\tCount\n{RULE}\n")
        table.writelines(f"{word}:\t{count}\n" for word, count in rows)
        table.write(f"{RULE}\n")
        for label, variable in (
            ("Node: ", "AZ_BATCH_NODE_ID"),
            ("Task: ", "AZ_BATCH_TASK_ID"),
            ("Job:  ", "AZ_BATCH_JOB_ID"),
            ("Pool: ", "AZ_BATCH_POOL_ID"),
        ):
            table.write("{}{}\n".format(label, os.environ.get(variable, "-")))


if __name__ == "__main__":
    main()
