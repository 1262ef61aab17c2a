"""Files to be inputs, and how they are found."""

from tasks.spec.inputs import find_inputs

DEFAULT = "{stem}_OUTPUT{suffix}"


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names_of(inputs, output_name=DEFAULT):
    return [file.name for file in find_inputs(inputs, output_name)]
