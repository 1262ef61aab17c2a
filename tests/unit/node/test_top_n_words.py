"""The script that runs on the nodes, as functions: it is read from its file, as nothing may import it."""

import io
import runpy
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).parents[3] / "node" / "top_n_words.py"
script = runpy.run_path(str(SCRIPT))

ODD_TEXT = st.text(st.sampled_from("ab.,|' \n\t\r\x1c\x85\xa0\u2003é\ufeff"), max_size=60)


def expected_counts(text: str) -> Counter[str]:
    words = (word.strip(string.punctuation) for word in text.split())
    return Counter(word for word in words if word)


@given(text=ODD_TEXT, size=st.integers(1, 7))
def test_counts_do_not_depend_on_where_blocks_end(text, size):
    """Whatever the size of the blocks, words are counted, and ordered, as if the text were read at once."""
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    counts = script["count_words"](blocks)
    assert list(counts.items()) == list(expected_counts(text).items())


def test_blocks_of_a_line_without_end_are_bounded():
    """A file that is one long line is read in blocks of a fixed size."""
    line = io.StringIO("word " * 500_000)
    sizes = [len(block) for block in script["read_blocks"](line)]
    assert sum(sizes) == 2_500_000
    assert max(sizes) <= 1 << 20


def run(tmp_path, content: bytes, *options: str) -> str:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(content)
    script["main"](["--filepath", str(source), "--numwords", "2", "--output", str(output), *options])
    return output.read_text(encoding="utf-8")


def test_table_has_the_form_of_the_tutorial(tmp_path, monkeypatch):
    """The output is a head line, a rule, the words, a rule, and where it ran."""
    for name in ("NODE", "TASK", "JOB", "POOL"):
        monkeypatch.setenv(f"AZ_BATCH_{name}_ID", f"the-{name.lower()}")
    text = run(tmp_path, b"b a, a! c -- c a")
    rule = "-" * 30
    expected = ["Word\tCount", rule, "a:\t3", "c:\t2", rule]
    expected += ["Node: the-node", "Task: the-task", "Job:  the-job", "Pool: the-pool"]
    assert text.splitlines() == expected


def test_words_as_common_as_one_another_stand_in_order_of_appearance(tmp_path):
    """A tie is broken by which word came first."""
    assert "z:\t1\ny:\t1\n" in run(tmp_path, b"z y x")


@pytest.mark.parametrize("content", [b"", b" \n\t", b"-- ... !!"], ids=["empty", "white", "punctuation"])
def test_text_without_words_gives_an_empty_table(tmp_path, content):
    """No words are no error: the table has no rows."""
    rule = "-" * 30
    assert run(tmp_path, content).startswith(f"Word\tCount\n{rule}\n{rule}\n")


def test_binary_content_is_counted_with_replacement_characters(tmp_path):
    """Bytes that are no UTF-8 don't stop the count."""
    assert "\ufffd\ufffdx:\t2" in run(tmp_path, b"\xff\xfex \x00 \xff\xfex")


def test_default_output_is_named_after_the_input(tmp_path, monkeypatch):
    """Without --output the table is `<name>_OUTPUT<suffix>` in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "text.v1.txt").write_text("one")
    script["main"](["--filepath", "sub/text.v1.txt", "--numwords", "1"])
    assert (tmp_path / "text.v1_OUTPUT.txt").exists()


def test_missing_file_is_one_line_on_stderr(tmp_path):
    """A file that isn't there ends the script with a message that names it."""
    with pytest.raises(SystemExit, match=r"top_n_words: .*nowhere\.txt"):
        script["main"](["--filepath", str(tmp_path / "nowhere.txt"), "--numwords", "1"])
