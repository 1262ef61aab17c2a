"""Which files a run is over, and what their outputs are called; checked before anything is created."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks.errors import InputError
from tasks.spec.naming import LOGS_FOLDER, PARTIAL_FOLDER

WILDCARDS = frozenset("*?[")
# Where the logs of failed tasks lie in the output container, beside the outputs.
# Limits of blob names (REST documentation, "Naming and referencing containers, blobs, and metadata").
NAME_MAX_CHARACTERS = 1024
NAME_MAX_SEGMENTS = 254
SHOWN = 10


@dataclass(frozen=True)
class InputFile:
    """A local file, the blob name that it gets, and the name of its output."""

    path: str
    name: str
    output_name: str
    size_bytes: int


def find_inputs(inputs: str | list[str], output_name: str) -> list[InputFile]:
    """The files that `inputs` means, a folder, a glob or a list of those, in order of their names.

    `output_name` is a template with `{stem}`, `{suffix}` and `{name}` of the file's last part; an output has
    its input's sub-folder. Raises InputError for what is missing, empty, find_unreadable or ambiguous.
    """
    sources = [inputs] if isinstance(inputs, str) else list(inputs)
    named = sorted({found for source in sources for found in expand_source(source)})
    if not named:
        raise InputError("There are no inputs: give a folder, a glob or a list of paths.")
    problems = [
        *_find_repeated_names(named),
        *find_bad_names(name for name, _ in named),
        *find_unreadable(named),
    ]
    refuse_problems(problems, "inputs can't be used")
    files = [
        InputFile(str(path), name, name_output(name, output_name), path.stat().st_size)
        for name, path in named
    ]
    refuse_problems(_find_clashing_outputs(files), "outputs would get in each other's way")
    return files


def expand_source(source: str) -> list[tuple[str, Path]]:
    """The (name, path) of each file that one path, folder or glob means."""
    path = Path(source).expanduser()
    if path.is_dir():
        found = [(file.relative_to(path).as_posix(), file) for file in _walk(path)]
        problem = f"The folder {source} has no files."
    elif path.is_file() or not WILDCARDS & set(source):
        if not path.exists():
            raise InputError(f"There is no file or folder {source} (looked from {Path.cwd()}).")
        return [(path.name, path)]
    else:
        root = _find_fixed_part(path)
        matches = (Path(match) for match in glob.glob(str(path), recursive=True))
        found = [(file.relative_to(root).as_posix(), file) for file in matches if not file.is_dir()]
        problem = f"No file matches {source} (looked from {Path.cwd()})."
    if not found:
        raise InputError(problem)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise_unreadable):
        # Outputs of another run on their way.
        folders[:] = [name for name in folders if name != PARTIAL_FOLDER]
        yield from (Path(parent, name) for name in names)


def _raise_unreadable(error: OSError) -> None:
    raise InputError(f"The folder {error.filename} can't be read: {error.strerror}.") from error


def _find_fixed_part(pattern: Path) -> Path:
    """The folder that a glob starts from: all before its first part with a wildcard."""
    parts = pattern.parts
    first = next(index for index, part in enumerate(parts) if WILDCARDS & set(part))
    return Path(*parts[:first])


def _find_repeated_names(named: Iterable[tuple[str, Path]]) -> Iterator[str]:
    paths: dict[str, Path] = {}
    for name, path in named:
        other = paths.setdefault(name, path)
        if other != path:
            yield f"{other} and {path} would both be {name!r}"


def find_bad_names(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        reason = why_no_blob_name(name)
        if reason:
            yield f"{name!r} {reason}"


def why_no_blob_name(name: str) -> str | None:
    """Why a relative path can't be a blob's name, or None if it can."""
    segments = name.split("/")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return "has a control character"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "is not UTF-8"
    if "\\" in name:
        return "has a backslash, which storage reads as a folder"
    if any(segment.endswith(".") for segment in segments):
        return "has a part that ends in a dot, which storage drops"
    if len(name) > NAME_MAX_CHARACTERS or len(segments) > NAME_MAX_SEGMENTS:
        return f"is longer than {NAME_MAX_CHARACTERS} characters or {NAME_MAX_SEGMENTS} folders"
    return None


def find_unreadable(named: Iterable[tuple[str, Path]]) -> Iterator[str]:
    for _, path in named:
        if path.exists() and not path.is_file():
            yield f"{path} is no regular file"
            continue
        try:
            path.open("rb").close()
        except OSError as error:
            yield f"{path} can't be read: {error.strerror}"


def name_output(name: str, template: str) -> str:
    """The output's name for an input's, in the same sub-folder. Raises InputError for a bad template."""
    path = PurePosixPath(name)
    try:
        last = template.format(stem=path.stem, suffix=path.suffix, name=path.name)
    except (LookupError, ValueError, AttributeError) as error:
        raise InputError(
            f"The output name {template!r} can't be used ({error}): it may have {{stem}}, {{suffix}} and "
            f"{{name}}; write {{{{ and }}}} for braces."
        ) from error
    if last in ("", ".", "..") or "/" in last or why_no_blob_name(last):
        raise InputError(f"The output name {template!r} gives {last!r} for {name!r}, which is no file name.")
    return str(path.with_name(last))


def _find_clashing_outputs(files: list[InputFile]) -> Iterator[str]:
    """Outputs that two inputs would write, and outputs that another one needs as its folder."""
    names: dict[str, list[str]] = defaultdict(list)
    for file in files:
        names[file.output_name].append(file.name)
    for name, inputs in names.items():
        if len(inputs) > 1:
            yield f"{len(inputs)} inputs, {inputs[0]!r} and {inputs[1]!r} first, would be written to {name!r}"
    for name in names:
        parents = [str(parent) for parent in PurePosixPath(name).parents]
        if parents[-2:-1] == [LOGS_FOLDER]:
            yield f"{name!r} is in the folder {LOGS_FOLDER!r}, which is kept for the logs of failed tasks"
        yield from (f"{name!r} needs {parent!r} as a folder" for parent in parents if parent in names)


def refuse_problems(problems: Iterable[str], what: str) -> None:
    """Raise InputError with the first few problems, if there are any."""
    found = list(problems)
    if found:
        more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("\n  ".join([f"{len(found)} {what}:", *found[:SHOWN], *more]))
