"""Write the most common words of a text file: what runs on a compute node, once for each file.

Standard library only, Python 3.8 or newer. Words are split on white space, and punctuation is stripped from
their ends; what strips to nothing is no word and is dropped. Words that are as common as one another stand
in the order of their first appearance. Bytes that are not UTF-8 become the replacement character.
"""

import argparse
import os
import string
import sys
import time
from collections import Counter

BLOCK_CHARACTERS = 1 << 20
RULE = "-" * 30


def main(argv=None):
    arguments = parse_arguments(argv)
    time.sleep(arguments.delay)
    try:
        with open(arguments.filepath, encoding="utf-8", errors="replace", newline="") as text:
            counts = count_words(read_blocks(text))
        write_table(arguments.output, counts.most_common(arguments.numwords))
    except OSError as error:
        sys.exit(f"top_n_words: {error}")


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Write the most common words of a text file.")
    parser.add_argument("--filepath", required=True, help="the text file, UTF-8")
    parser.add_argument("--numwords", required=True, type=at_least_one, help="how many words to write")
    parser.add_argument("--output", help="the table's file (default: <name>_OUTPUT<suffix> in this folder)")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds to sleep first, to simulate work")
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


def read_blocks(text):
    """Yield a text stream in blocks; a line may be longer than memory, so lines are no unit here."""
    return iter(lambda: text.read(BLOCK_CHARACTERS), "")


def split_words(blocks):
    """Yield lists of the words in the blocks, whole also where a block's end cuts one; some may be empty."""
    cut = []
    for block in blocks:
        # The marks keep what touches the block's ends apart from what white space bounds.
        words = f"|{block}|".split()
        if len(words) == 1:
            cut.append(block)
            continue
        cut.append(words[0][1:])
        words[0] = "".join(cut)
        cut = [words.pop()[:-1]]
        yield words
    yield ["".join(cut)]


def count_words(blocks):
    """Count the stripped words in the blocks, in the order of their first appearance."""
    raw = Counter()
    for words in split_words(blocks):
        raw.update(words)
    counts = Counter()
    for token, count in raw.items():
        word = token.strip(string.punctuation)
        if word:
            counts[word] += count
    return counts


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
