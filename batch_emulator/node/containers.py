"""Container tasks in containers of this machine, by Docker or Podman: `--containers engine`.

As on Azure, a task's container has all below the node's root under the same paths, or what the task names of
it; the task's environment; and the task's command line in place of the image's own. The node agent starts the
engine's client, which prints what the container does. The service ends a container that outlives its client:
it knows it by its name, and all of a location by their label.

Source: documentation "Run container workloads on Azure Batch" and Add Task's `containerSettings`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_emulator.node.agent import TASK_DIRECTORY
from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.launch import Launch, WireObject
from batch_emulator.node.process import split_words

ENGINES = ("docker", "podman")
#: What an engine's client has of this process's environment; all else that it is given is the task's.
_CLIENT_NAMES = frozenset({"PATH", "HOME", "USER", "TMPDIR", "LANG", "REGISTRY_AUTH_FILE"})
_CLIENT_PREFIXES = ("XDG_", "DOCKER_", "CONTAINER", "STORAGE_", "BUILDAH_", "DBUS_")
_LABEL = "azure-batch-emulator"
#: With the volumes that an image's VOLUME makes, which nobody else knows by name.
_REMOVE = ("rm", "--force", "--volumes")
_ANSWER_SECONDS = 30.0
#: A client's exit code where the engine has failed. A program may have it too.
_ENGINE_FAILED = 125
#: How the time begins at which a container was started that never was.
_NEVER = "0001-"
_MOUNTS = {"Shared": "shared", "Startup": "startup", "VfsMounts": "fsmounts", "Applications": "applications"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Containers:
    """An engine, and the folder of nodes whose tasks it runs."""

    engine: str
    location: str

    def variables_file(self, launch: Launch) -> Path:
        """A file beside the nodes: the variables that an attempt's client must not take for its own."""
        return Path(self.location).with_name("containers") / f"{self.name(launch)}.env"

    def prepare(self, launch: Launch, environment: Mapping[str, str]) -> None:
        """What `arguments` names: read by the client alone, as nobody else may see a task's variables."""
        file = self.variables_file(launch)
        file.unlink(missing_ok=True)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.parent.chmod(0o700)
        file.touch(0o600)
        lines = (f"{name}={value}\n" for name, value in environment.items() if _goes_by_file(name, value))
        file.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")

    async def ran_nothing(self, launch: Launch, code: int) -> bool:
        """Whether the engine has failed before the program ran: programs too may exit with its code. One that
        does not tell is not taken for failed."""
        if code != _ENGINE_FAILED:
            return False
        started_at = ("container", "inspect", "--format", "{{.State.StartedAt}}", self.name(launch))
        answer = await self._ask_in_time(*started_at)
        return answer is not None and (answer[0] != 0 or answer[1].startswith(_NEVER))

    def name(self, launch: Launch) -> str:
        """That of an attempt's container, in all locations."""
        return f"azb-{hashlib.sha256(f'{self.location}#{launch.name}'.encode()).hexdigest()[:24]}"

    async def fetch(self, launch: Launch) -> None:
        """Have the image on this machine. Raises AttemptFailed."""
        image = launch.container["imageName"]
        if (await self._ask("image", "inspect", image))[0] == 0:
            return
        with _logged_in(launch.container) as environment:
            code, told = await self._ask("pull", "--quiet", image, environment=environment)
        if code != 0:
            raise AttemptFailed("ContainerInvalidImage", Message=f"Failed to pull {image}: {told}")

    def arguments(self, launch: Launch, directory: str, environment: Mapping[str, str]) -> list[str]:
        """The engine's command line for an attempt in `directory`; without a command the image's own runs."""
        settings = launch.container
        root = directory.removesuffix(f"/{launch.task_directory}")
        where = (
            ["--workdir", f"{directory}/wd"] if settings["workingDirectory"] == "taskWorkingDirectory" else []
        )
        return [
            *(self.engine, "run", *where, *_mounts(launch, root, directory), *_variables(environment)),
            *("--env-file", str(self.variables_file(launch))),
            # After ours, as the last of two that contradict each other counts; but for how we find it again.
            *split_words(settings.get("containerRunOptions", "")),
            # It stays until `remove`, whatever a task asks for, to be asked whether its program has run.
            *("--rm=false", "--pull=never"),
            *("--name", self.name(launch), "--label", f"{_LABEL}={self.location}"),
            *(settings["imageName"], *split_words(launch.command_line)),
        ]

    async def remove(self, launch: Launch) -> None:
        """End an attempt's container, and forget it, if it is there."""
        self.variables_file(launch).unlink(missing_ok=True)
        answer = await self._ask_in_time(*_REMOVE, self.name(launch))
        # Older engines fail where there is none.
        if answer is not None and answer[0] != 0 and "no such container" not in answer[1].lower():
            log.warning("container %s may be left: %s", self.name(launch), answer[1])

    def remove_all(self, but: Collection[Launch] = ()) -> None:
        """End those of this location that no attempt has any more. Waits for that."""
        spared = {self.name(launch) for launch in but}
        for file in Path(self.location).with_name("containers").glob("*.*"):
            if file.stem not in spared:
                file.unlink(missing_ok=True)
        of_here = ("--filter", f"label={_LABEL}={self.location}", "--format", "{{.Names}}")
        try:
            listed = _answer([self.engine, "ps", "--all", *of_here])
            _remove(self.engine, [name for name in listed.stdout.split() if name not in spared])
        except subprocess.TimeoutExpired:
            log.warning("%s does not answer: containers of %s may be left", self.engine, self.location)

    async def _ask_in_time(self, *arguments: str) -> tuple[int, str] | None:
        """As `_ask`, but nobody waits for ever for an engine that hangs: then it has said nothing."""
        try:
            return await asyncio.wait_for(self._ask(*arguments), _ANSWER_SECONDS)
        except asyncio.TimeoutError:
            log.warning("%s does not answer: container %s may be left", self.engine, arguments[-1])
            return None

    async def _ask(self, *arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
        """The client's exit code and the last that it said."""
        process = await asyncio.create_subprocess_exec(
            self.engine,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment or os.environ,
        )
        try:
            told, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        return process.returncode or 0, told.decode(errors="replace").strip()


def find_engine(wanted: str) -> str:
    """The program of that engine, or of any, that answers. Raises ValueError."""
    names = ENGINES if wanted == "engine" else (wanted,)
    for name in names:
        program = shutil.which(name)
        if program is not None and _answers(program):
            return program
    raise ValueError(f"container tasks can't run here: {' or '.join(names)} does not answer on this machine")


def remove_abandoned(engine: str) -> None:
    """Forget containers that do not run and whose location is gone: a service that was killed has left them,
    and no other will take them up."""
    states = ("--filter", "status=created", "--filter", "status=exited")
    stopped = ("--filter", f"label={_LABEL}", *states, "--format", "{{.ID}}")
    place = "{{.Id}} {{index .Config.Labels " + json.dumps(_LABEL) + "}}"
    try:
        if names := _answer([engine, "ps", "--all", *stopped]).stdout.split():
            found = _answer([engine, "container", "inspect", "--format", place, *names]).stdout
            pairs = (line.split(" ", 1) for line in found.splitlines() if " " in line)
            _remove(engine, [name for name, location in pairs if not Path(location).parent.is_dir()])
    except subprocess.TimeoutExpired:
        log.warning("%s does not answer: containers of services that were killed may be left", engine)


def _remove(engine: str, names: list[str]) -> None:
    """Raises subprocess.TimeoutExpired."""
    if names and (answer := _answer([engine, *_REMOVE, *names])).returncode != 0:
        log.warning("containers may be left: %s", answer.stderr.strip())


def _answers(program: str) -> bool:
    try:
        return _answer([program, "info"]).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _answer(command: list[str]) -> subprocess.CompletedProcess[str]:
    """What an engine's client says. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=_ANSWER_SECONDS, check=False
    )


def client_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """That of the engine's client: what it needs, and what `arguments` passes on by name. No marker of the
    task, as helpers that the client leaves behind are no strays of the task's."""
    own = {name: value for name, value in os.environ.items() if _is_client_s(name)}
    return {name: value for name, value in environment.items() if not _is_kept_from_client(name)} | own


def _is_client_s(name: str) -> bool:
    return name in _CLIENT_NAMES or name.startswith(_CLIENT_PREFIXES)


def _variables(environment: Mapping[str, str]) -> Iterator[str]:
    """By name alone: everybody sees the command lines of processes. By value only one of several lines that
    has a name of the client's: no file of variables can hold it, and the client would take it for its own."""
    for name, value in environment.items():
        if not _is_kept_from_client(name):
            yield from ("--env", name)
        elif not _goes_by_file(name, value):
            yield from ("--env", f"{name}={value}")


def _is_kept_from_client(name: str) -> bool:
    return _is_client_s(name) or name == TASK_DIRECTORY


def _goes_by_file(name: str, value: str) -> bool:
    return _is_kept_from_client(name) and "\n" not in value


def _mounts(launch: Launch, root: str, directory: str) -> Iterator[str]:
    """The node's folders under their own paths: all of them, or those that the task names."""
    named = launch.container.get("containerHostBatchBindMounts")
    wanted = [(root, False)] if named is None else [*_named_mounts(launch, root, directory, named)]
    for path, is_read_only in wanted:
        yield from ("--volume", f"{path}:{path}{':ro' if is_read_only else ''}")


def _named_mounts(
    launch: Launch, root: str, directory: str, named: list[WireObject]
) -> Iterator[tuple[str, bool]]:
    preparation = launch.job_preparation_directory
    folders = {source: f"{root}/{folder}" for source, folder in _MOUNTS.items()} | {"Task": directory}
    if preparation is not None:
        folders["JobPrep"] = f"{root}/{preparation}"
    for each in named:
        if each.get("source") in folders:
            yield folders[each["source"]], bool(each.get("isReadOnly"))


@contextmanager
def _logged_in(settings: WireObject) -> Iterator[dict[str, str]]:
    """The environment of a client that may pull with the task's and the pool's registries. Passwords are in
    a file that both engines read, and only while it pulls."""
    registries = [each for each in settings.get("registries", []) if each.get("username")]
    if not registries:
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.json")
        path.touch(0o600)
        path.write_text(json.dumps({"auths": dict(map(_login, registries))}))
        yield dict(os.environ) | {"DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(path)}


def _login(registry: WireObject) -> tuple[str, dict[str, Any]]:
    pair = f"{registry['username']}:{registry.get('password', '')}"
    server = registry.get("registryServer") or "https://index.docker.io/v1/"
    return server, {"auth": base64.b64encode(pair.encode()).decode()}
