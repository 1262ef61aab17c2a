"""The tutorial's task script, written plainly: what the node script is compared with.

`python -m bench.tutorial_words FILE OUTPUT` writes the three most common words.
"""

from __future__ import annotations

import string
import sys
from collections import Counter


def main(source: str, target: str) -> None:
    counts: Counter[str] = Counter()
    with open(source, encoding="utf-8") as file:
        for line in file:
            counts.update(word.strip(string.punctuation) for word in line.split())
    with open(target, "w", encoding="utf-8") as file:
        file.writelines(f"{word}:\t{count}\n" for word, count in counts.most_common(3))


if __name__ == "__main__":
    main(*sys.argv[1:3])
