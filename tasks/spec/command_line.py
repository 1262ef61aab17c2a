"""The command line of the Batch tasks, in which no file name and no user's text is ever read by a shell.

Batch runs command lines under no shell, so ours is `/bin/sh -c '...'`, one constant text for all the tasks of
a run: what varies, and whatever a shell might read as more than a plain word, stands in environment variables
and is used as `"$NAME"`, which a shell hands on as it is.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from tasks.errors import InputError
from tasks.spec.scripts import find_readers
from tasks.spec.shell_signs import join_lines, refuse_shell_signs

INPUT_VARIABLE = "FAN_OUT_INPUT"
OUTPUT_VARIABLE = "FAN_OUT_OUTPUT"
NAME_VARIABLE = "FAN_OUT_NAME"
APPLICATION_VARIABLE = "FAN_OUT_APPLICATION"
START_VARIABLE = "FAN_OUT_START_COMMAND"
INPUTS_FOLDER = "inputs"
OUTPUTS_FOLDER = "outputs"
APPLICATION_FOLDER = "application"
# Of the task of several files: what runs them, and a folder of each.
BUNDLE_FOLDER = ".bundle"

# Characters that no shell gives a meaning in the middle of a command.
PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
# Linux: of one argument or variable, with the NUL at its end.
ARGUMENT_MAX_BYTES = 131_071
# In an output file's pattern a wildcard would match other names than its own, and `$HOME` be expanded: only
# letters, digits and these are left in it.
UNSAFE_IN_PATTERN = re.compile(r"[^\w .,+=@()#-]")
PLACES = ("{application}", "{input}", "{name}", "{output}")
# A brace for itself, a place, or a brace that is part of none, with what it seems to mean.
BRACE = re.compile(r"\{\{|\}\}|\{(?P<place>application|input|name|output)\}|(?P<bad>\{[^{}]*\}|[{}])")
# As other templates have it.
DOUBLED_PLACE = re.compile(r"(?<!\{)\{\{\s*(application|input|name|output)\s*\}\}(?!\})")
# A brace that is to be doubled.
OTHER_BRACES = re.compile(r"\{(?:application|input|name|output)\}|[{}]")
DOUBLED = "Braces of the command's own are written twice: "
SCRIPT_REMEDY = (
    f'Write a script, sh -c \'...\', in which the paths are "${INPUT_VARIABLE}" and "${OUTPUT_VARIABLE}".'
)


@dataclass(frozen=True)
class NodeCommand:
    """What every Batch task of a run executes, and the settings that are the same for all."""

    command_line: str
    environment: dict[str, str]
    keeps_stdout: bool
    """Whether the standard output is the output, as the command names neither `{output}` nor its variable."""


def build_command(template: str, application: str | None = None, on_shared: bool = True) -> NodeCommand:
    """The command line for a template such as `python3 {application} {input} {output}`.

    `application` is the path of what `{application}` means, in the node's shared folder or, if not
    `on_shared`, in the task's own. Raises InputError for a template that can't be read.
    """
    tokens = _split_template(template)
    folder = "$AZ_BATCH_NODE_SHARED_DIR" if on_shared else f"$AZ_BATCH_TASK_WORKING_DIR/{APPLICATION_FOLDER}"
    places = {
        "input": f'"${INPUT_VARIABLE}"',
        "output": f'"${OUTPUT_VARIABLE}"',
        "name": f'"${NAME_VARIABLE}"',
    }
    environment = {}
    if application is not None:
        places["application"] = f'"{folder}/${APPLICATION_VARIABLE}"'
        environment[APPLICATION_VARIABLE] = application
    if "application" not in places and "{application}" in template:
        raise InputError(f"The command {template!r} has {{application}}, but no application is given.")
    line = f"exec {' '.join(_build_word(token, places, environment) for token in tokens)}"
    keeps_stdout = not _names_output(tokens)
    if not keeps_stdout:
        line = f"mkdir -p {OUTPUTS_FOLDER} && {line}"
    _refuse_long([line, *environment.values()])
    return NodeCommand(f"/bin/sh -c '{line}'", environment, keeps_stdout)


def _refuse_long(texts: Iterable[str]) -> None:
    """Raise InputError for what no program on a node can be told at once."""
    long_bytes = max(len(text.encode(errors="surrogateescape")) for text in texts)
    if long_bytes > ARGUMENT_MAX_BYTES:
        raise InputError(
            f"The command is too long: {long_bytes:,} bytes, of which Linux takes {ARGUMENT_MAX_BYTES:,} at "
            f"once. Put it into a script that is the application."
        )


def _names_output(tokens: list[str]) -> bool:
    """Whether the program is told where to write its output: as an argument, or a script by its variable."""
    return any(
        OUTPUT_VARIABLE in token or any(place == "output" for _, place in _split_token(token))
        for token in tokens
    )


def _split_template(template: str) -> list[str]:
    try:
        tokens = shlex.split(join_lines(template))
    except ValueError as error:
        raise InputError(
            f"The command {template!r} can't be read: {str(error)[0].lower()}{str(error)[1:]}."
        ) from error
    if not tokens:
        raise InputError("The command is empty: say what to run, for example `wc -w {input}`.")
    _refuse_unknown_places(template)
    _refuse_places_in_scripts(template, tokens)
    refuse_shell_signs(template, SCRIPT_REMEDY)
    return tokens


def _refuse_unknown_places(template: str) -> None:
    """Raise InputError for braces that are neither a place nor doubled."""
    if doubled := DOUBLED_PLACE.search(template):
        place = f"{{{doubled[1]}}}"
        raise InputError(
            f"The command {template!r} has {doubled[0]}, which is the text {place}: write "
            f"{place} for what it means."
        )
    for found in BRACE.finditer(template):
        if found["bad"]:
            raise InputError(
                f"The command {template!r} has {found['bad']}; there are only {', '.join(PLACES)}. "
                f"{_advise(template, found['bad'])}"
            )


def _advise(template: str, bad: str) -> str:
    """The place that may be meant, or how braces are written that are none; mostly the whole command."""
    words = re.findall("[a-z]+", bad.lower())
    meant = get_close_matches(words[0], [place[1:-1] for place in PLACES], 1, 0.75) if words else []
    if meant:
        return f"Is {{{meant[0]}}} meant?"
    doubled = OTHER_BRACES.sub(lambda found: found[0] if found[0] in PLACES else found[0] * 2, template)
    return f"{DOUBLED}{'{{ and }}.' if '{{' in template or '}}' in template else doubled}"


def _refuse_places_in_scripts(template: str, tokens: list[str]) -> None:
    """Raise InputError for `sh -c '... {input}'`, where a file name would be read as shell, and the like."""
    for program, is_shell in find_readers(tokens):
        remedy = (
            f'In a script use the variables "${INPUT_VARIABLE}", "${OUTPUT_VARIABLE}" and "${NAME_VARIABLE}".'
            if is_shell
            else f"Put the place behind the script, as an argument of its own, or have the script read the "
            f"variables {INPUT_VARIABLE}, {OUTPUT_VARIABLE} and {NAME_VARIABLE} of its environment."
        )
        raise InputError(
            f"The command {template!r} would let {'a shell' if is_shell else program} read file names as a "
            f"program. {remedy}"
        )


def _split_token(token: str) -> Iterator[tuple[str, str | None]]:
    """The (text, place) pairs of a token; text after the last place has none."""
    text = ""
    last = 0
    for found in BRACE.finditer(token):
        text += token[last : found.start()]
        last = found.end()
        if found["place"]:
            yield text, found["place"]
            text = ""
        else:
            text += found[0][0]
    yield text + token[last:], None


def _build_word(token: str, places: dict[str, str], environment: dict[str, str]) -> str:
    """One shell word for a token; what isn't plain goes into `environment` under a name of its own."""
    word = ""
    for text, place in _split_token(token):
        if PLAIN.fullmatch(text):
            word += text
        elif text:
            name = f"FAN_OUT_TEXT_{len(environment)}"
            environment[name] = text
            word += f'"${name}"'
        word += places[place] if place is not None else ""
    return word or '""'


def task_environment(command: NodeCommand, input_name: str, output_name: str) -> dict[str, str]:
    """All environment settings of the Batch task for one file.

    Where what is printed is the output, no other place is told: a program that writes to one fails.
    """
    output = {} if command.keeps_stdout else {OUTPUT_VARIABLE: node_output(output_name)}
    return {
        **command.environment,
        INPUT_VARIABLE: node_input(input_name),
        **output,
        NAME_VARIABLE: input_name,
    }


def node_input(name: str) -> str:
    """Where an input lies in its task's working directory; never a leading dash, never outside."""
    return f"{INPUTS_FOLDER}/{name}"


def node_output(output_name: str) -> str:
    """Where a task writes its output, with nothing in the name that a file pattern would expand."""
    return f"{OUTPUTS_FOLDER}/{UNSAFE_IN_PATTERN.sub('_', output_name.rpartition('/')[2])}"


def start_command_line(application: str | None, start_command: str | None) -> tuple[str, dict[str, str]]:
    """The start task's command line and settings: run the user's command, share the application.

    `application` is a path in a folder of its own. The task users of a node must be able to read what root
    copies.
    """
    steps, environment = [], {}
    if start_command is not None:
        environment[START_VARIABLE] = start_command
        steps.append(f'/bin/sh -c "${START_VARIABLE}"')
    if application is not None:
        environment[APPLICATION_VARIABLE] = application
        shared = f'"$AZ_BATCH_NODE_SHARED_DIR/${APPLICATION_VARIABLE}"'
        source = f'"{APPLICATION_FOLDER}/${APPLICATION_VARIABLE}"'
        folder = f'"$AZ_BATCH_NODE_SHARED_DIR/${{{APPLICATION_VARIABLE}%/*}}"'
        steps.append(f"mkdir -p {folder} && cp {source} {shared} && chmod a+rx {folder} {shared}")
    return f"/bin/sh -c '{' && '.join(steps)}'", environment
