"""The script that runs on the nodes, as functions: it is read from its file, as nothing may import it."""

import gzip
import runpy
import string
import tracemalloc
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPT = Path(__file__).parents[3] / "node" / "top_n_words.py"
script = runpy.run_path(str(SCRIPT))

ODD_TEXT = st.text(st.sampled_from("ab.,|' \n\t\r\x1c\x85\xa0\u2003é\ufeff„”–…–’-_$語"), max_size=60)
ODD_BYTES = st.lists(st.sampled_from([b"a", b" ", b"\xc3", b"\xa9", b"\xe2\x80", b"\x9e", b"\n", b"."])).map(
    b"".join
)


def is_bare(character: str) -> bool:
    kind = unicodedata.category(character)
    return character in string.punctuation or kind.startswith("P") or kind == "Cf"


def strip(word: str) -> str:
    """Punctuation of any script and invisible characters off both ends, a character at a time."""
    while word and is_bare(word[0]):
        word = word[1:]
    while word and is_bare(word[-1]):
        word = word[:-1]
    return word


def expected_counts(text: str) -> Counter[str]:
    """The plain way: decode, split, strip each word, count."""
    return Counter(word for word in map(strip, text.split()) if word)


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(text=ODD_TEXT, size=st.integers(1, 7))
def test_counts_do_not_depend_on_where_blocks_end(text, size):
    """Whatever the size of the blocks, words are counted, and ordered, as if the text were read at once."""
    counts = script["count_words"](cut(text.encode(), size))
    assert list(counts.items()) == list(expected_counts(text).items())


@given(content=ODD_BYTES, size=st.integers(1, 5))
def test_bytes_that_are_no_utf_8_are_counted_as_if_decoded_at_once(content, size):
    """Counting bytes and decoding distinct ones gives what decoding the whole, with replacements, does."""
    counts = {}
    raw = Counter(word for words in script["split_words"](cut(content, size)) for word in words)
    script["merge"](raw, counts)
    counts.pop("", None)
    assert list(counts.items()) == list(expected_counts(content.decode("utf-8", "replace")).items())


@given(seeds=st.lists(st.sampled_from(["a", "b.", "„c”", "d\xa0e", "f\x1cg", "it's", "..."]), min_size=1))
@settings(max_examples=20)
def test_counts_hold_over_many_distinct_words(seeds):
    """Words are merged in portions, some of them all ASCII: counts and order stay those of the plain way."""
    text = " ".join(f"{seeds[number % len(seeds)]}{number % 1500}," for number in range(3000))
    counts = script["count_words"](cut(text.encode(), 999))
    assert list(counts.items()) == list(expected_counts(text).items())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1250"])
def test_blocks_of_a_line_without_end_are_bounded(tmp_path, encoding):
    """A file that is one long line is read in blocks of a fixed size, in any encoding."""
    path = tmp_path / "line.txt"
    path.write_text("word " * 500_000, encoding=encoding)
    sizes = [len(block) for block in script["read_blocks"](path, None if encoding == "utf-16" else encoding)]
    assert sum(sizes) == 2_500_000
    assert max(sizes) <= 1 << 16


@pytest.mark.parametrize("space", ["\u3000", "\xa0", "\x1f"])
def test_a_text_without_ascii_white_space_is_no_single_word(space):
    """What is kept of it is as long as a block; its words are those of the plain way, wherever blocks end."""
    text = space.join(f"言葉{number % 7}。" for number in range(5000))
    for size in (999, 1000, 1001):
        words = [word for words in script["split_words"](cut(text.encode(), size)) for word in words]
        assert max(map(len, words)) < 2 * size
        assert script["count_words"](cut(text.encode(), size)) == expected_counts(text)


def test_lines_of_other_white_space_are_not_kept():
    """What is kept of a text is its words, and no more of its lines than of so many blocks."""
    lines = ["　".join([*str(number), *"三四五" * 100]) + "\n" for number in range(3000)]
    looks = []

    def blocks():
        for line in lines:
            yield line.encode()
            looks.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    counts = script["count_words"](blocks())
    tracemalloc.stop()
    assert list(counts.items()) == list(expected_counts("".join(lines)).items())
    # All have six times as much as the first 512 blocks.
    assert max(looks) < 1.5 * max(looks[:512])


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


def test_a_few_broken_bytes_are_counted_with_replacement_characters(tmp_path, capsys):
    """Bytes that are no UTF-8 don't stop the count of a text that mostly is; a warning says how many."""
    assert "\ufffdx:\t2" in run(tmp_path, b"\xffx a b \xffx c d")
    assert "2 of 6 words" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"a b c"), bytes(range(256)) * 9, b"a\0b\0 \0c\0"],
    ids=["gzip", "binary", "utf-16 without a mark"],
)
def test_bytes_that_are_no_text_are_an_error(tmp_path, content):
    """A compressed file, binary data and UTF-16 without a mark end the script with a message that says so."""
    with pytest.raises(SystemExit, match=r"in\.txt: no text: .* control characters.*--encoding"):
        run(tmp_path, content)
    assert not (tmp_path / "out.txt").exists()


def test_text_in_another_encoding_is_an_error(tmp_path):
    """Where most words are no UTF-8, the message asks for the encoding instead of a table of replacements."""
    with pytest.raises(SystemExit, match=r"2 of 2 words .*--encoding"):
        run(tmp_path, "слово слово".encode("cp1251"))
    assert "слово:\t2" in run(tmp_path, "слово слово".encode("cp1251"), "--encoding", "cp1251")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_says_the_encoding_and_is_no_word(tmp_path, encoding):
    """UTF-8, UTF-16 and UTF-32 with a mark are read; the mark, alone or before a word, is not counted."""
    assert "żółw:\t3\n---" in run(tmp_path, "\ufeff żółw żółw \ufeffżółw".encode(encoding))


def test_punctuation_of_any_script_is_stripped_from_the_ends_alone(tmp_path):
    """Polish and Spanish quotes, dashes and dots are no words; apostrophes and hyphens stay within words."""
    text = "„Tak” – «nie»… ¿qué? l’eau d'or – bio-owoce – tak。 ‘tis"
    counts = script["count_words"]([text.encode()])
    assert list(counts) == ["Tak", "nie", "qué", "l’eau", "d'or", "bio-owoce", "tak", "tis"]


@pytest.mark.parametrize("name", ["nonsense", "hex", "idna", "punycode", "undefined"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path, name, capsys):
    """An unknown encoding, or a codec that is none of text or reads none in parts, is an error of the command
    line."""
    with pytest.raises(SystemExit):
        run(tmp_path, b"a", "--encoding", name)
    assert name in capsys.readouterr().err


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
