"""What `make demo` shows at its end."""

from pathlib import Path

import pytest

from deployments.local.__main__ import WORDS_MAX, main
from deployments.local.demo import OUTPUT_NAME, SHOWN_FILES, tables
from flows import top_n_words
from flows.top_n_words import TopNWordsSpec
from tasks.spec.input_files import InputFile
from tasks.spec.inputs import find_inputs


def files_of(folder: Path, *names: str) -> list[InputFile]:
    """Inputs with these names, and an output of each, of which the content is the input's name."""
    for name in names:
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).touch()
    files = find_inputs(str(folder / "in"), OUTPUT_NAME)
    for file in files:
        (folder / "out" / file.output_name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / file.output_name).write_text(f"table of {file.name}\n")
    return files


def test_tables_of_any_kind_of_file_are_counted_and_shown(tmp_path):
    """Also of CSV files and in sub-folders; what else is in the folder is not."""
    files = files_of(tmp_path, "a.csv", "sub/b")
    (tmp_path / "out" / "old_OUTPUT.txt").write_text("stale\n")
    text = tables(files, tmp_path / "out")
    assert "a_OUTPUT.csv\ntable of a.csv" in text
    assert "b_OUTPUT\ntable of sub/b" in text
    assert "2 tables of 2 files are in" in text
    assert "stale" not in text


def test_many_tables_are_cut_short(tmp_path):
    """Of hundreds of outputs the first few are shown, with the true number and where the others are."""
    text = tables(files_of(tmp_path, *[f"{number:04}.txt" for number in range(1200)]), tmp_path / "out")
    assert text.count("table of") == SHOWN_FILES
    assert f"1,200 tables of 1,200 files are in {tmp_path / 'out'}, the other 1,197 too" in text


def test_an_output_that_is_no_folder_is_told_at_once(tmp_path, capsys):
    """The path and what is in its way; nothing is started."""
    files_of(tmp_path, "a.txt")
    (tmp_path / "taken").touch()
    options = ["--inputs", str(tmp_path / "in"), "--output", str(tmp_path / "taken" / "sub")]
    assert main(["demo", *options, "--env-file", str(tmp_path / "none")]) == 1
    told = capsys.readouterr()
    assert f"{tmp_path / 'taken'} is a file" in told.err
    assert told.out == ""


@pytest.mark.parametrize("number", ["0", "-1", "three", "10001", "1.5"])
def test_a_wrong_number_of_words_is_told_at_once(capsys, number):
    """As the flow would tell it, but before there is a stack."""
    with pytest.raises(SystemExit) as ended:
        main(["demo", f"--num-words={number}"])
    assert ended.value.code == 2
    assert f"'{number}' is no number of words between 1 and 10,000" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_inputs_that_are_not_there_are_told_at_once(tmp_path, capsys, name):
    """The folder is named, and nothing is started for it."""
    (tmp_path / "empty").mkdir()
    assert main(["demo", "--inputs", str(tmp_path / name), "--env-file", str(tmp_path / "none")]) == 1
    told = capsys.readouterr()
    assert str(tmp_path / name) in told.err
    assert told.out == ""


def test_what_the_demo_knows_of_the_flow_is_so():
    """The most words that it takes, and what its outputs are called."""
    with pytest.raises(ValueError, match="num_words"):
        TopNWordsSpec(num_words=WORDS_MAX + 1)
    assert TopNWordsSpec(num_words=WORDS_MAX).num_words == WORDS_MAX
    (told,) = [line for line in Path(top_n_words.__file__).read_text().splitlines() if "output_name=" in line]
    assert OUTPUT_NAME in told


@pytest.mark.parametrize("option", ["--inputs", "--output"])
def test_an_empty_folder_s_name_is_refused(option, capsys):
    """It would be the folder that one is in, with all that lies there."""
    with pytest.raises(SystemExit):
        main(["demo", option, ""])
    assert f"{option}: it is empty" in capsys.readouterr().err
