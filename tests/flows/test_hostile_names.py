"""Names of any kind: each works, or is refused before anything is made."""

import random
from pathlib import Path

import pytest

from flows.fan_out import fan_out
from tasks.errors import InputError
from tasks.spec.inputs import find_inputs
from tasks.spec.specs import PoolSpec

COUNT = 330
OUTPUT_NAME = "{name}.out"
# What shells, templates, patterns, URLs, Windows and storage read in another way than a program does.
HOSTILE = r"""
$HOME ${PATH} %PATH% $(id) `id` ~ ~root a:b.txt C:report.txt CON nul .hidden .. ... - -rf --help null
[a-z] *.txt ? {input} {} {{name}} ** ! # @x & && | ; < > ' " = + , ^ %41 %2F %00 %zz \ \\host\x .logs .partial
ä é é 日本語 עברית العربية 😀 👩‍👩‍👧 İ ß ﬁ x. x..
"""
CODES = (1, 9, 10, 13, 32, 127, 0x85, 0xA0, 0x200B, 0x202E, 0x2028, 0xE000, 0xFEFF, 0xFFFF)
PIECES = [*HOSTILE.split(), *map(chr, CODES), "x" * 120, "日" * 40, "😀" * 60, "a b", " x", "x "]


def make_names() -> list[str]:
    """Each piece by itself, and within a plain name, and pieces joined at random, the same each time."""
    chance, names = random.Random(9), {}
    for piece in PIECES:
        names |= dict.fromkeys([piece, f"{piece}.txt", f"a{piece}b"])
    while len(names) < COUNT + 40:
        names["".join(chance.choices(PIECES, k=chance.randint(2, 4)))] = None
    return [
        name for name in names if name not in (".", "..") and len(name.encode()) <= 255 and "/" not in name
    ]


def sort_out(paths: list[Path], output_folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The paths that a run would take, and why it would not take the others."""
    accepted, refused = [], {}
    for path in paths:
        try:
            find_inputs(str(path), OUTPUT_NAME, output_folder)
            accepted.append(path)
        except InputError as error:
            refused[path.name] = str(error)
    return accepted, refused


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.soak)])
def test_every_name_works_or_is_refused_in_the_plan(accounts, tmp_path, step):
    """Of hundreds of generated names each is refused, or comes back with its content; those that run here are
    every seventh, and all in the long run."""
    paths = [tmp_path / "in" / name for name in make_names()]
    (tmp_path / "in").mkdir()
    for path in paths:
        path.write_text(f"content of {path.name}", encoding="utf-8")
    assert len(paths) >= COUNT
    accepted, refused = sort_out(paths, tmp_path / "out")
    assert len(accepted) >= 200
    assert all("can't be used" in reason or "can't be written" in reason for reason in refused.values())
    run_all(accepted[::step], tmp_path / "out")


def run_all(paths: list[Path], output_folder: Path) -> None:
    """Run all in one run, which has to copy each."""
    command, pool = "cp {input} {output}", PoolSpec(dedicated_nodes=2, task_slots_per_node=8)
    result = fan_out([*map(str, paths)], None, command, str(output_folder), pool, output_name=OUTPUT_NAME)
    outputs = {name: Path(path).read_text(encoding="utf-8") for name, path in result.outputs.items()}
    assert outputs == {path.name: f"content of {path.name}" for path in paths}
    assert {path.name for path in output_folder.iterdir()} == {f"{path.name}.out" for path in paths}
