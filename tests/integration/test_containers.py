"""Container tasks in containers of this machine, where Docker or Podman is there and can make one."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

import batch_emulator
from batch_emulator.node.containers import find_engine
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the image is made of programs of this machine"
)

IMAGE = "localhost/azure-batch-emulator-test:1"
PROGRAMS = ("sh", "ls", "sleep", "touch", "true")
_LIBRARY = re.compile(r"(/\S+) \(0x")
#: No container was made, by the engine or by what it makes them with.
ENGINE_FAILED = (125, 126)
#: For a machine whose limits may not be raised, or whose groups are of two kinds.
CONSTRAINED = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that has run a container of IMAGE, which is made of a few programs of this machine."""
    try:
        found = find_engine("engine")
    except ValueError as error:
        pytest.skip(str(error))
    imported = subprocess.run([found, "import", "-", IMAGE], input=make_files(), capture_output=True)
    assert imported.returncode == 0, imported.stderr
    try:
        with constrained_if_needed(found, tmp_path_factory.mktemp("engine")):
            yield found
    finally:
        subprocess.run([found, "rmi", "--force", IMAGE], capture_output=True)


@contextmanager
def constrained_if_needed(engine: str, folder: Path) -> Iterator[None]:
    configuration = folder / "containers.conf"
    configuration.write_text(CONSTRAINED)
    with pytest.MonkeyPatch.context() as patch:
        tried = try_engine(engine)
        if tried.returncode != 0:
            patch.setenv("CONTAINERS_CONF", str(configuration))
            tried = try_engine(engine)
        if tried.returncode in ENGINE_FAILED:
            pytest.skip(f"{engine} makes no container here: {tried.stderr}")
        assert tried.returncode == 0, tried.stderr
        yield


def try_engine(engine: str) -> subprocess.CompletedProcess[str]:
    command = [engine, "run", "--rm", "--network", "none", IMAGE, "true"]
    return subprocess.run(command, capture_output=True, text=True)


def make_files() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        found = {name: shutil.which(name) or "" for name in PROGRAMS}
        for name, path in found.items():
            tar.add(path, f"bin/{name}")
        for path in {library for each in found.values() for library in libraries_of(each)}:
            tar.add(path, path)
        tar.addfile(tarfile.TarInfo("only-in-the-image"))
    return archive.getvalue()


def libraries_of(program: str) -> list[str]:
    """Those that it is linked with; none where it is static."""
    return _LIBRARY.findall(subprocess.run(["ldd", program], capture_output=True, text=True).stdout)


def task(task_id: str, command: str, **settings) -> models.BatchTaskCreateOptions:
    given = {"image_name": IMAGE, "container_run_options": "--network none"} | settings
    return models.BatchTaskCreateOptions(
        id=task_id,
        command_line=f"/bin/sh -c '{command}'",
        container_settings=models.BatchTaskContainerSettings(**given),
        environment_settings=[
            models.EnvironmentSetting(name="WORD", value="from the task"),
            models.EnvironmentSetting(name="DOCKER_TOKEN", value="a secret"),
            models.EnvironmentSetting(name="PATH", value="/bin:/only"),
        ],
    )


# What is done, and what it must have printed.
TASKS = {
    "image": ("ls /only-in-the-image; echo $WORD $PATH", "/only-in-the-image\nfrom the task /bin:/only\n"),
    "place": ('test "$(pwd)" = "$AZ_BATCH_TASK_WORKING_DIR" && touch made && echo here', "here\n"),
    "node": ("ls $AZ_BATCH_NODE_ROOT_DIR", "applications\nfsmounts\nshared\nstartup\nvolatile\nworkitems\n"),
}


@pytest.mark.soak
def test_tasks_run_in_containers(engine: str, tmp_path: Path) -> None:
    """A container task has its image, the node's folders, its working directory, its environment and options;
    its exit code and files are the task's; a missing image, wrong options and a stop end as on Azure, and no
    container is left."""
    with batch_emulator.serve(containers="engine", location=tmp_path, stop_grace_seconds=0.5) as account:
        with BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key)) as client:
            run_all(client)
            check_ends(client)
        assert containers_of(engine, tmp_path)
    assert containers_of(engine, tmp_path) == []


def run_all(client: BatchClient) -> None:
    client.create_pool(pool_parameters("pool", task_slots_per_node=8))
    client.create_job(models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool")))
    bind = models.ContainerHostBatchBindMountEntry
    tasks = [
        *(task(name, command) for name, (command, _) in TASKS.items()),
        task("default", "pwd", working_directory="containerImageDefault"),
        task("option", "pwd", container_run_options="--network none --workdir /bin"),
        task("code", "exit 7"),
        task("engine-s-code", "exit 125"),
        task("hidden", "echo $DOCKER_TOKEN"),
        task("absent", "true", image_name="localhost/absent:1"),
        task("wrong", "true", container_run_options="--no-such-option"),
        task(
            "read-only",
            "ls $AZ_BATCH_NODE_ROOT_DIR; touch $AZ_BATCH_NODE_SHARED_DIR/x",
            container_host_batch_bind_mounts=[bind(source="Shared", is_read_only=True)],
            working_directory="containerImageDefault",
        ),
        task("stopped", "echo up; sleep 600"),
        task("left", "echo up; sleep 600"),
    ]
    client.create_tasks("job", tasks)
    done = {each.id for each in tasks} - {"stopped", "left"}
    for each in done:
        wait_until(lambda: client.get_task("job", each).state == "completed", 120, f"end of {each}")  # noqa: B023
    for each in ("stopped", "left"):
        wait_until(lambda: client.get_task("job", each).state == "running", 60, each)  # noqa: B023
        wait_until(lambda: printed(client, each) == "up\n", 60, each)  # noqa: B023
    client.terminate_task("job", "stopped")


def check_ends(client: BatchClient) -> None:
    for name, (_, expected) in TASKS.items():
        assert (printed(client, name), code_of(client, name)) == (expected, 0)
    assert (printed(client, "default"), printed(client, "option")) == ("/\n", "/bin\n")
    assert printed(client, "read-only").split()[-1] == "shared"
    assert code_of(client, "read-only") == 1
    assert (code_of(client, "code"), code_of(client, "engine-s-code")) == (7, 125)
    assert printed(client, "hidden") == "a secret\n"
    assert failure_of(client, "absent") == "ContainerInvalidImage"
    assert failure_of(client, "wrong") == "ContainerInvalidSettings"
    assert failure_of(client, "stopped") == "TaskEnded"


def printed(client: BatchClient, name: str) -> str:
    return b"".join(client.download_task_file("job", name, "stdout.txt")).decode()


def code_of(client: BatchClient, name: str) -> int | None:
    return client.get_task("job", name).execution_info.exit_code


def failure_of(client: BatchClient, name: str) -> str:
    return client.get_task("job", name).execution_info.failure_info.code


def containers_of(engine: str, location: Path) -> list[str]:
    label = f"label=azure-batch-emulator={location.resolve() / 'nodes'}"
    listed = subprocess.run(
        [engine, "ps", "--all", "--quiet", "--filter", label], capture_output=True, text=True
    )
    return listed.stdout.split()
