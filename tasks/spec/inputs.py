"""The files of a run and what their outputs are called; checked before anything is created."""

import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from functools import cache
from itertools import accumulate, chain
from pathlib import Path
from string import Formatter

from tasks.base.known_texts import KnownTexts
from tasks.base.printable import show_name
from tasks.errors import InputError
from tasks.spec.blob_places import BlobPlace
from tasks.spec.file_names import why_no_blob_name, why_no_local_path, why_too_long_below
from tasks.spec.input_files import InputFiles
from tasks.spec.local_paths import (
    find_obstacles,
    find_real_folders,
    find_real_paths,
    is_below,
    locate_outputs,
)
from tasks.spec.naming import RESERVED_FOLDERS
from tasks.spec.output_places import OutputPlace
from tasks.spec.sources import Sources, find_sources, refuse_problems

PLACES = ("{stem}", "{suffix}", "{name}")


def find_inputs(inputs: str | list[str], output_name: str, output_folder: Path | None = None) -> InputFiles:
    """The files that `inputs` means, a folder, a glob or a list of those, in the order of their names.

    `output_name` is a template with `{stem}`, `{suffix}` and `{name}` of the file's last part; an output has
    its input's sub-folder. Raises InputError for what is missing, empty, unreadable or ambiguous, and for
    outputs in the folder that would take the place of inputs, or be some in the next run.
    """
    sources = find_sources([inputs] if isinstance(inputs, str) else list(inputs), output_folder)
    return make_inputs(sources, output_name, output_folder)


def make_inputs(
    sources: Sources, output_name: str, output_folder: Path | None, outputs: OutputPlace | None = None
) -> InputFiles:
    """The inputs among what was found, each with its output's name."""
    files = _name_outputs(sources, output_name)
    refuse_problems(_find_bad_outputs(files, output_folder, outputs), "output", "can't be written")
    refuse_problems(_find_clashing_outputs(files), "output", "would get in another's way")
    if outputs is not None:
        refuse_problems(
            _find_overwritten_blobs(files, outputs),
            "input",
            "would be overwritten; choose another output_dir or output_name",
        )
        refuse_problems(
            _find_future_input_blobs(files, outputs, sources),
            "output",
            "would be input of the next run; choose another output_dir, or a glob without them",
        )
    elif output_folder is not None:
        folder = os.path.realpath(output_folder)
        obstacles = find_obstacles(folder, files.output_names)
        refuse_problems(obstacles, "output", "can't be written to the output folder")
        refuse_problems(
            _find_overwritten(files, folder, sources.links),
            "input",
            "would be overwritten; choose another output_dir or output_name",
        )
        refuse_problems(
            _find_future_inputs(files, folder, sources),
            "output",
            "would be input of the next run; choose another output_dir, or a glob without them",
        )
    return files


def _name_outputs(sources: Sources, template: str) -> InputFiles:
    files = InputFiles()
    for file, size_bytes in zip(sources.named, sources.sizes_bytes, strict=True):
        blob = sources.blobs.get(file.path) if sources.blobs else None
        output = name_output(file.name, template)
        files.append("" if blob else file.root, file.name, output, size_bytes, blob)
    return files


def name_output(name: str, template: str) -> str:
    """The output's name for an input's, in the same sub-folder. Raises InputError for a bad template."""
    # As pathlib has it, whose table of all parts of names would be as large as the names.
    folder, slash, base = name.rpartition("/")
    dot = base.rfind(".")
    stem, suffix = (base[:dot], base[dot:]) if 0 < dot < len(base) - 1 else (base, "")
    refuse_template(template)
    last = template.format(stem=stem, suffix=suffix, name=base)
    if last in ("", ".", "..") or "/" in last or "\0" in last:
        raise InputError(f"The output name {template!r} gives {last!r} for {name!r}, which is no file name.")
    return f"{folder}{slash}{last}"


@cache
def refuse_template(template: str) -> None:
    """Raise InputError for a template that has more than the plain names of an input's parts: what Python
    makes of other fields need not be text, nor end."""
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
        reason = next((f"it has {_spell(*field)}" for field in fields if _spell(*field) not in PLACES), "")
    except ValueError as error:
        reason = str(error)
    if reason:
        raise InputError(
            f"The output name {template!r} can't be used ({reason}): it may have {{stem}}, {{suffix}} and "
            f"{{name}}; write {{{{ and }}}} for braces."
        )


def _spell(_text: str, field: str | None, form: str | None, conversion: str | None) -> str:
    """A field of a template as it stands there."""
    return f"{{{field}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"


def _find_bad_outputs(files: InputFiles, folder: Path | None, outputs: OutputPlace | None) -> Iterator[str]:
    local_folder = str(folder or "")
    for name, output_name in zip(files.names, files.output_names, strict=True):
        reason = why_no_blob_name(output_name)
        if outputs is not None:
            reason = reason or why_too_long_below(outputs.prefix, name, output_name)
        else:
            reason = reason or why_no_local_path(local_folder, output_name)
        if reason:
            yield f"{output_name!r}, of {name!r}, {reason}"


def _find_clashing_outputs(files: InputFiles) -> Iterator[str]:
    """Outputs that two inputs would write, and outputs that another one needs as its folder."""
    names = files.output_names
    # Where two are the same their hashes are; the others seldom are, and no output is told then.
    if not files.outputs_differ and len(set(map(hash, names))) < len(names):
        yield from _find_repeated_outputs(files)
    folders = {name.rpartition("/")[0] for name in names}
    parents = {parent for folder in folders for parent in _list_parents(f"{folder}/")}
    needed = {name for name in names if name in parents}
    are_reserved = any(name.partition("/")[0] in RESERVED_FOLDERS for name in chain(folders, names))
    if needed or are_reserved:
        yield from (clash for name in names for clash in _describe_clashes(name, needed))


def _describe_clashes(name: str, needed: Container[str]) -> Iterator[str]:
    """What an output is in the way of, given those whose names are needed for folders."""
    first = name.partition("/")[0]
    if first in RESERVED_FOLDERS:
        yield f"{name!r} is in the folder {first!r}, which is kept for {RESERVED_FOLDERS[first]}"
    yield from (
        f"{name!r} needs {parent!r} as a folder" for parent in _list_parents(name) if parent in needed
    )


def _list_parents(name: str) -> Iterator[str]:
    return accumulate(name.split("/")[:-1], "{}/{}".format)


def _find_repeated_outputs(files: InputFiles) -> Iterator[str]:
    names: dict[str, list[str]] = defaultdict(list)
    for file in files:
        names[file.output_name].append(file.name)
    for name, inputs in names.items():
        if len(inputs) > 1:
            yield f"{len(inputs)} inputs, {inputs[0]!r} and {inputs[1]!r} first, would be written to {name!r}"


def _find_overwritten(files: InputFiles, folder: str, links: Iterable[str]) -> Iterator[str]:
    """Inputs in whose place, or in that of what they are links to, an output would be written."""
    places = {os.path.realpath(parent) for parent in files.find_folders()}
    places |= {os.path.dirname(os.path.realpath(link)) for link in links}
    if places.isdisjoint(find_real_folders(folder, files.output_names).values()):
        return
    inputs = KnownTexts(real for real, _ in find_real_paths(_list_paths(files)))
    outputs = locate_outputs(folder, files.output_names)
    hit = {output: file.name for file, output in zip(files, outputs, strict=True) if output in inputs}
    if hit:
        places = dict(find_real_paths(_list_paths(files)))
        yield from (f"{show_name(places[output])}, by the output of {name!r}" for output, name in hit.items())


def _list_paths(files: InputFiles) -> Iterator[str]:
    """Of the local ones."""
    return (file.path for file in files if not file.blob)


def _find_overwritten_blobs(files: InputFiles, outputs: OutputPlace) -> Iterator[str]:
    urls = KnownTexts(file.path for file in files if file.blob)
    for file in files:
        url = outputs.locate(file.output_name).url
        if url in urls:
            yield f"{url}, by the output of {file.name!r}"


def _find_future_input_blobs(files: InputFiles, outputs: OutputPlace, sources: Sources) -> Iterator[str]:
    """Outputs that the same prefixes and globs would find as inputs."""
    for place, pattern in sources.blob_patterns:
        if (place.account, place.container) != (outputs.account, outputs.container):
            continue
        if is_left_out(outputs, place):
            continue
        for file in files:
            name = outputs.name_blob(file.output_name)
            if name.startswith(place.name) and pattern.matches(name[len(place.name) :]):
                yield f"{outputs.locate(file.output_name).url}, of {file.name!r}"


def is_left_out(outputs: OutputPlace, place: BlobPlace) -> bool:
    """Whether the place of the outputs lies below that of inputs, which leave it out then."""
    is_there = (place.account, place.container) == (outputs.account, outputs.container)
    return is_there and outputs.prefix.startswith(place.name) and outputs.prefix != place.name


def _find_future_inputs(files: InputFiles, folder: str, sources: Sources) -> Iterator[str]:
    """Outputs that the same folders and globs would find as inputs."""
    for pattern in sources.patterns:
        root = os.path.realpath(pattern.root)
        if is_below(folder, root) or not (folder == root or is_below(root, folder)):
            # It is left out of that folder, or elsewhere.
            continue
        for file in files:
            path = os.path.join(folder, file.output_name)
            if is_below(path, root) and pattern.matches(os.path.relpath(path, root)):
                yield f"{path}, of {file.name!r}"
