"""The words that `node/top_n_words.py` found, read back from its outputs."""

from collections.abc import Iterator
from pathlib import Path

from tasks.logs import run_logger
from tasks.prefect.observing import publish_table
from tasks.report.files_table import ROWS_MAX
from tasks.spec.blob_places import is_place
from tasks.spec.run_results import RunResult

WORDS_KEY = "top-words"
FILES_IN_LOG = 10
RULE = "-" * 30


def read_words(path: str | Path) -> list[tuple[str, int]]:
    """The (word, count) rows between the two rules of an output file, most common first."""
    return list(_parse_rows(Path(path).read_text(encoding="utf-8").split("\n")))


def _parse_rows(lines: list[str]) -> Iterator[tuple[str, int]]:
    first_rule = lines.index(RULE)
    for line in lines[first_rule + 1 : lines.index(RULE, first_rule + 1)]:
        word, _, count = line.rpartition(":\t")
        yield word, int(count)


def publish_words(result: RunResult) -> None:
    """Show the words of each file in the log (of the first files) and as a Prefect artifact."""
    if is_place(result.output_dir):
        run_logger().info("The words are in %s", result.output_dir)
        return
    rows = []
    for number, (name, path) in enumerate(sorted(result.outputs.items())):
        if len(rows) >= ROWS_MAX:
            break
        words = read_words(path)
        rows += [{"file": name, "word": word, "count": count} for word, count in words]
        if number < FILES_IN_LOG:
            found = ", ".join(f"{word} {count}" for word, count in words)
            run_logger().info("%s: %s", name, found or "no words")
    publish_table(rows[:ROWS_MAX], key=WORDS_KEY, description="The most common words of each file")
