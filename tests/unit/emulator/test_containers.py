"""What an engine is asked for a container task, without an engine."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from batch_emulator.node.containers import Containers, _logged_in, client_environment
from batch_emulator.node.failures import AttemptFailed
from batch_emulator.node.launch import Launch

ROOT = "/loc/nodes/pool/node"
DIRECTORY = f"{ROOT}/workitems/job/job-1/task"
CONTAINERS = Containers("/bin/engine", "/loc/nodes")


def launch(command_line: str = "run 'all of it'", **settings) -> Launch:
    settings = {"imageName": "image:1", "workingDirectory": "taskWorkingDirectory"} | settings
    return Launch("node", "workitems/job/job-1/task", command_line, attempt="1.1", container=settings)


def arguments(given: Launch, **environment: str) -> list[str]:
    return CONTAINERS.arguments(given, DIRECTORY, environment)


def pairs(found: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(found) if name == option]


def test_container_has_the_node_the_place_the_variables_and_the_command():
    """All folders of the node under their own paths, the working directory, variables by name alone, the
    words of the command behind the image; of a variable that the client has too nothing is told by name."""
    found = arguments(launch(), SECRET="s", PATH="/opt", AZ_BATCH_TASK_DIR=DIRECTORY, DOCKER_TOKEN="secret")
    assert found[:2] == ["/bin/engine", "run"]
    assert pairs(found, "--volume") == [f"{ROOT}:{ROOT}"]
    assert pairs(found, "--workdir") == [f"{DIRECTORY}/wd"]
    assert pairs(found, "--env") == ["SECRET"]
    assert pairs(found, "--env-file") == [str(CONTAINERS.variables_file(launch()))]
    assert not [word for word in found if "secret" in word]
    assert pairs(found, "--name") == [CONTAINERS.name(launch())]
    assert found[-3:] == ["image:1", "run", "all of it"]
    assert arguments(launch(""))[-1] == "image:1"


def test_variables_that_the_client_has_too_are_in_a_file_of_the_owner_s(tmp_path):
    """The client would take them for its own settings; the file goes with the attempt, as that of its id."""
    containers = Containers("/bin/engine", str(tmp_path / "nodes"))
    given = {"WORD": "w", "DOCKER_TOKEN": "secret", "PATH": "/opt", "CONTAINER_KEY": "a\nb"}
    containers.prepare(launch(), given)
    file = containers.variables_file(launch())
    assert file.read_text() == "DOCKER_TOKEN=secret\nPATH=/opt\n"
    assert (file.stat().st_mode & 0o077, file.parent.stat().st_mode & 0o077) == (0, 0)
    assert pairs(containers.arguments(launch(), DIRECTORY, given), "--env") == ["WORD", "CONTAINER_KEY=a\nb"]
    assert not {"DOCKER_TOKEN", "CONTAINER_KEY"} & client_environment(given).keys()


def test_options_of_the_task_count_but_for_its_name():
    """What a task asks for stands after what it has by default and before what the service finds it by."""
    found = arguments(launch(containerRunOptions="--workdir '/a b' --name mine --rm"))
    assert pairs(found, "--workdir")[-1] == "/a b"
    assert pairs(found, "--name")[-1] == CONTAINERS.name(launch())
    assert [word for word in found if word.startswith("--rm")][-1] == "--rm=false"
    with pytest.raises(AttemptFailed):
        arguments(launch(containerRunOptions="--env 'open"))


def test_place_and_folders_can_be_chosen():
    """`containerImageDefault` sets no working directory; named folders replace all, an empty list none."""
    assert "--workdir" not in arguments(launch(workingDirectory="containerImageDefault"))
    named = [{"source": "Task"}, {"source": "Shared", "isReadOnly": True}, {"source": "JobPrep"}]
    found = arguments(launch(containerHostBatchBindMounts=named))
    assert pairs(found, "--volume") == [f"{DIRECTORY}:{DIRECTORY}", f"{ROOT}/shared:{ROOT}/shared:ro"]
    assert pairs(arguments(launch(containerHostBatchBindMounts=[])), "--volume") == []


def test_client_has_its_own_environment_and_no_marker(monkeypatch):
    """The client finds its own settings; nothing that it leaves behind looks like a process of the task."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/docker.sock")
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "s")
    found = client_environment({"PATH": "/opt", "WORD": "w", "AZ_BATCH_TASK_DIR": DIRECTORY})
    assert (found["PATH"], found["WORD"]) == (os.environ["PATH"], "w")
    assert found["DOCKER_HOST"] == "unix:///run/docker.sock"
    assert not {"AZ_BATCH_TASK_DIR", "SECRET_OF_THE_SERVICE"} & found.keys()


def test_passwords_of_registries_are_for_the_engine_alone():
    """They are in a file of the owner's that is gone after the pull."""
    registry = {"username": "me", "password": "pass", "registryServer": "acr.io"}
    with _logged_in({"registries": [registry]}) as environment:
        path = Path(environment["REGISTRY_AUTH_FILE"])
        assert path == Path(environment["DOCKER_CONFIG"], "config.json")
        assert json.loads(path.read_text()) == {"auths": {"acr.io": {"auth": "bWU6cGFzcw=="}}}
        assert path.stat().st_mode & 0o077 == 0
    assert not path.exists()
