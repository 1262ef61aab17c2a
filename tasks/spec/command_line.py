"""The command line of the Batch tasks, in which no file name and no user's text is ever read by a shell.

Batch runs command lines under no shell, so ours is `/bin/sh -c '...'`, one constant text for all the tasks of
a run: what varies, and whatever a shell might read as more than a plain word, stands in environment variables
and is used as `"$NAME"`, which a shell hands on as it is.
"""

import os
import re
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tasks.errors import InputError

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
# In an output file's pattern a wildcard would match other names than its own, and `$HOME` be expanded: only
# letters, digits and these are left in it.
UNSAFE_IN_PATTERN = re.compile(r"[^\w .,+=@()#-]")
PLACES = ("{application}", "{input}", "{name}", "{output}")
# A place, or a brace that is part of none.
OTHER_BRACES = re.compile(r"\{(?:application|input|name|output)\}|[{}]")
# A pipe, a list or a redirection, standing by itself or before its file.
SHELL_SIGN = re.compile(r"\|\|?|&&?|;|[^{}]*;|\d?(<|<<|>|>>|>&|&>)[^>]*|\d?>&\d")
SHELLS = {"sh", "bash", "dash", "ksh", "zsh"}


@dataclass(frozen=True)
class NodeCommand:
    """What every Batch task of a run executes, and the settings that are the same for all."""

    command_line: str
    environment: dict[str, str]
    keeps_stdout: bool
    """Whether the standard output is the output, as the command names no `{output}`."""


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
    _refuse_unknown_places(template, tokens, places)
    words = [_build_word(token, places, environment) for token in tokens]
    return NodeCommand(
        command_line=f"/bin/sh -c 'mkdir -p {OUTPUTS_FOLDER} && exec {' '.join(words)}'",
        environment=environment,
        keeps_stdout=not any(place == "output" for token in tokens for _, place in _split_token(token)),
    )


def _split_template(template: str) -> list[str]:
    try:
        tokens = shlex.split(template)
        for token in tokens:
            list(_split_token(token))
    except ValueError as error:
        raise InputError(f"The command {template!r} can't be read: {error}. {_advise(template)}") from error
    if not tokens:
        raise InputError("The command is empty: say what to run, for example `wc -w {input}`.")
    _refuse_places_in_scripts(template, tokens)
    _refuse_shell_signs(template)
    return tokens


def _advise(template: str) -> str:
    """How to write braces that are no place; where it can be said, the whole command."""
    doubled = OTHER_BRACES.sub(lambda found: found[0] if found[0] in PLACES else found[0] * 2, template)
    if "{{" in template or "}}" in template or doubled == template:
        return "Braces of the command's own are written twice: {{ and }}."
    return f"Braces of the command's own are written twice: {doubled}"


def _refuse_shell_signs(template: str) -> None:
    """Raise InputError for a pipe or the like, which would be an argument of the program."""
    try:
        # With their quotes: a sign in quotes is meant as an argument.
        words = shlex.split(template, posix=False)
    except ValueError:
        return
    sign = next((word for word in words if SHELL_SIGN.fullmatch(word)), None)
    if sign is not None:
        raise InputError(
            f"The command {template!r} runs under no shell: {sign} would be an argument of the program. "
            f"Write a script, sh -c '...', in which the paths are \"${INPUT_VARIABLE}\" and "
            f'"${OUTPUT_VARIABLE}". If it is meant as an argument, put it in quotes.'
        )


def _split_token(token: str) -> Iterator[tuple[str, str | None]]:
    """The (text, place) pairs of a token, as `str.format` reads it. Raises ValueError."""
    for text, place, form, conversion in string.Formatter().parse(token):
        if form or conversion:
            raise ValueError(f"{{{place}}} has a format")
        yield text, place


def _refuse_places_in_scripts(template: str, tokens: list[str]) -> None:
    """Raise InputError for `sh -c '... {input}'`, where a file name would be read as shell."""
    if os.path.basename(tokens[0]) not in SHELLS:
        return
    for option, script in pairwise(tokens):
        places = [f"{{{place}}}" for _, place in _split_token(script)]
        if re.fullmatch(r"-[a-z]*c", option) and any(place in PLACES for place in places):
            raise InputError(
                f"The command {template!r} would let a shell read file names. In a script use the "
                f'variables "${INPUT_VARIABLE}", "${OUTPUT_VARIABLE}" and "${NAME_VARIABLE}".'
            )


def _refuse_unknown_places(template: str, tokens: list[str], places: dict[str, str]) -> None:
    for token in tokens:
        for _, place in _split_token(token):
            if place == "application" and place not in places:
                raise InputError(
                    f"The command {template!r} has {{application}}, but no application is given."
                )
            if place is not None and place not in places:
                raise InputError(
                    f"The command {template!r} has {{{place}}}; there are only {', '.join(PLACES)}. "
                    f"{_advise(template)}"
                )


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
    """All environment settings of the Batch task for one file."""
    return {
        **command.environment,
        INPUT_VARIABLE: node_input(input_name),
        OUTPUT_VARIABLE: node_output(output_name),
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
