"""What makes an output: the identity of a piece of work is all that goes into it.

The recipe is what all Batch tasks of a run have in common; a source is the recipe with one input. A Batch
task is named after its source, and its output's blob carries it, so that nothing is taken for the output of
another command, program, file or setting.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.spec.run_spec import RunSpec

# Of a pool, what a program may find another way on its nodes; not how many there are, or how large.
OF_THE_POOL = {"image", "start_command", "containers", "overrides"}
# Hexadecimal digits: 128 bits, as a Batch task's id has room for no more beside a readable part.
SOURCE_DIGITS = 32
SOURCE_BYTES = SOURCE_DIGITS // 2
# Made once, as it is used for each file.
_ENCODER = json.JSONEncoder(sort_keys=True)


@dataclass(frozen=True)
class UploadedProgram:
    """The files that every Batch task of a run gets, by the content that was uploaded."""

    application_md5: str | None = None
    """Hexadecimal; None for a run without an application."""

    extra_md5s: Mapping[str, str] = field(default_factory=dict)
    """Of the further files, by their paths in the tasks' working directories."""

    remote: Sequence[str] = ()
    """Of the further files at URLs, in their order: what tells their content from any other."""


def digest_recipe(spec: RunSpec, application: str | None, program: UploadedProgram) -> str:
    """A digest of all that makes outputs out of inputs: command, programs, environment, image.

    `application` is its file's name, which a program may know.
    """
    # Secrets count by the names of their blocks: a digest would tell whether a guess is right.
    unsaid = {"files"} if spec.task.secret_environment else {"files", "secret_environment"}
    task = spec.task.model_dump(mode="json", exclude=unsaid)
    specs = [file.model_dump(mode="json") for file in spec.task.files if file.local_path is None]
    remote = list(zip(specs, program.remote, strict=True))
    pool = spec.pool.model_dump(mode="json", include=OF_THE_POOL)
    files = sorted(program.extra_md5s.items())
    return digest_json([spec.command, application, program.application_md5, files, remote, task, pool])


def digest_source(recipe: str, name: str, output_name: str, content_md5: str) -> str:
    """A digest of all that makes one output: the recipe, the input's name and content, the output's name."""
    # As `digest_json` of them in a list, which takes three times as long, for each file.
    texts = ", ".join(map(_ENCODER.encode, (recipe, name, output_name, content_md5)))
    return _digest(f"[{texts}]")[:SOURCE_DIGITS]


def read_source(task_id: str) -> bytes | None:
    """The digest that a Batch task is named after; None of an id that no run has given."""
    try:
        source = bytes.fromhex(task_id[-SOURCE_DIGITS:])
    except ValueError:
        return None
    return source if len(source) == SOURCE_BYTES else None


def digest_json(value: object) -> str:
    """The SHA-256 of a JSON value, hexadecimal."""
    return _digest(_ENCODER.encode(value))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
