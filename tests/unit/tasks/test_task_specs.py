"""What the Batch tasks of a run may be told, and the parts of their bodies that it becomes."""

from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.batch import models
from pydantic import ValidationError

from tasks.azure.registries import read_password
from tasks.azure.sas import Signer, validity
from tasks.bodies.batch_tasks import TaskPlan, build_common, build_task
from tasks.errors import InputError, SettingsError
from tasks.extra_files import FILES_MAX, UploadedFile, find_extra_files
from tasks.plans import plan_run
from tasks.spec.command_line import build_command
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import ContainersSpec, PoolSpec, RegistrySpec
from tasks.spec.task_specs import FileSpec, TaskSpec, pool_for
from tasks.spec.work import WorkItem

IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/words"
)
SIGNER = Signer(
    "acc",
    "https://acc.blob.core.windows.net",
    *validity(datetime(2026, 1, 1, tzinfo=timezone.utc), 60),
    "c2Vj",
)
ITEM = WorkItem("a.txt", "a_OUTPUT.txt", "5eed", b"\x5e\xed")


def body_of(task: TaskSpec) -> models.BatchTaskCreateOptions:
    """The body as the official model reads it."""
    found = find_extra_files(task.files)
    files = tuple(UploadedFile(f"0a1b/files/{one.node_path}", one.node_path, "0a1b") for one in found)
    spec = RunSpec(inputs="in", application=None, command="cat {input}", task=task)
    plan = TaskPlan(names_of_run("run"), spec, build_command(spec.command), files=files)
    return models.BatchTaskCreateOptions(
        build_task(ITEM, plan, SIGNER, "https://out", build_common(plan, SIGNER))
    )


def test_a_task_of_which_nothing_is_said_has_nothing_more():
    """No container, no user and no further files are sent by default."""
    body = body_of(TaskSpec()).as_dict()
    assert {"containerSettings", "userIdentity"} & set(body) == set()
    assert [file["filePath"] for file in body["resourceFiles"]] == ["inputs/a.txt"]


def test_a_secret_is_said_by_its_block_and_once():
    """A variable has a value or a secret; what a value of a block could be is refused as its name."""
    assert TaskSpec(secret_environment={"TOKEN": "words-token"}).secret_environment == {
        "TOKEN": "words-token"
    }
    for wrong in (
        {"secret_environment": {"TOKEN": "p4ss Wörd!"}},
        {"secret_environment": {"AZ_BATCH_TOKEN": "words-token"}},
        {"secret_environment": {"TOKEN": "words-token"}, "environment": {"TOKEN": "1"}},
    ):
        with pytest.raises(ValidationError):
            TaskSpec(**wrong)


def test_a_container_task_names_image_options_and_registry(monkeypatch):
    """The password is read where it is needed, from where the specification says it is."""
    monkeypatch.setenv("REGISTRY_PASSWORD", "s3cret")
    registry = {"server": "acr.io", "username": "me", "password_variable": "REGISTRY_PASSWORD"}
    task = TaskSpec(container={"image": "acr.io/words:1", "run_options": "--rm", "registry": registry})
    assert "s3cret" not in repr(task)
    assert body_of(task).container_settings.as_dict() == {
        "imageName": "acr.io/words:1",
        "workingDirectory": "taskWorkingDirectory",
        "containerRunOptions": "--rm",
        "registry": {"registryServer": "acr.io", "username": "me", "password": "s3cret"},
    }


def test_a_registry_may_be_read_by_an_identity():
    """Then there is no user and no password."""
    task = TaskSpec(container={"image": "i", "registry": {"server": "acr.io", "identity": IDENTITY}})
    registry = body_of(task).container_settings.registry
    assert registry.identity_reference.resource_id == IDENTITY
    assert (registry.username, registry.password) == (None, None)


def test_a_password_that_is_not_there_is_told():
    """The variable is named, and what it is for."""
    registry = RegistrySpec(server="acr.io", username="me", password_variable="NO_SUCH_VARIABLE")
    with pytest.raises(SettingsError, match=r"Set NO_SUCH_VARIABLE: .* password of acr\.io"):
        read_password(registry, {})


@pytest.mark.parametrize(
    "values",
    [
        {"username": "me", "password_secret": "p"},
        {"server": "acr.io"},
        {"server": "acr.io", "username": "me"},
        {"server": "acr.io", "username": "me", "password_secret": "p", "password_variable": "P"},
        {"server": "acr.io", "username": "me", "identity": IDENTITY},
        {"server": "acr.io", "identity": "words"},
        {"server": "acr.io", "username": "me", "password": "p"},
    ],
)
def test_there_is_one_way_into_a_registry(values):
    """A user with one reference to a password, or an identity; never a password itself."""
    with pytest.raises(ValidationError):
        RegistrySpec(**values)


def test_environment_and_user_are_sent():
    """Variables are added to those of the run; the user is an auto user."""
    task = TaskSpec(environment={"LANG": "C"}, user={"elevation_level": "admin", "scope": "task"})
    body = body_of(task)
    settings = {setting.name: setting.value for setting in body.environment_settings}
    assert (settings["LANG"], settings["FAN_OUT_INPUT"]) == ("C", "inputs/a.txt")
    assert body.user_identity.as_dict() == {"autoUser": {"scope": "task", "elevationLevel": "admin"}}


@pytest.mark.parametrize("name", ["FAN_OUT_INPUT", "AZ_BATCH_TASK_ID", "a b", "", "A=B"])
def test_variables_of_the_run_and_of_the_service_are_taken(name):
    """Their names, and those that no variable can have, are refused."""
    with pytest.raises(ValidationError, match="environment"):
        TaskSpec(environment={name: "x"})


@pytest.mark.parametrize(
    "make", [lambda text: TaskSpec(environment={"A": text}), lambda text: PoolSpec(start_command=text)]
)
def test_what_no_program_can_be_told_is_refused(make):
    """Before the service refuses it, when there is a pool to pay for."""
    assert make("a b")
    with pytest.raises(ValidationError, match="holds a NUL"):
        make("a\0b")


def test_overrides_are_merged_into_each_body():
    """What isn't modelled is sent as it is given, beside what is."""
    task = TaskSpec(overrides={"constraints": {"maxWallClockTime": "PT10M"}, "requiredSlots": 2})
    body = body_of(task).as_dict()
    assert body["constraints"] == {"maxTaskRetryCount": 0, "maxWallClockTime": "PT10M"}
    assert body["requiredSlots"] == 2


def test_files_at_urls_are_signed_for_on_the_run_s_own_account_only():
    """A blob may be read, a container read and listed; a URL elsewhere, or with an identity, stays."""
    own, other = SIGNER.endpoint, "https://example.com/models/small.bin?v=1"
    files = [
        FileSpec(http_url=f"{own}/models/a%20b/small.bin"),
        FileSpec(storage_container_url=f"{own}/models", blob_prefix="v1/", file_path="models"),
        FileSpec(http_url=other, file_path="models/other.bin"),
        FileSpec(storage_container_url=f"{own}/private", identity=IDENTITY),
    ]
    _, blob, container, public, private = body_of(TaskSpec(files=files)).resource_files
    assert blob.http_url.startswith(f"{own}/models/a%20b/small.bin?")
    assert (blob.file_path, permissions(blob.http_url)) == ("small.bin", "r")
    assert (container.blob_prefix, container.file_path) == ("v1/", "models")
    assert permissions(container.storage_container_url) == "rl"
    assert (public.http_url, public.file_path) == (other, "models/other.bin")
    assert private.storage_container_url == f"{own}/private"
    assert private.identity_reference.resource_id == IDENTITY


def permissions(url: str) -> str:
    return parse_qs(urlsplit(url).query)["sp"][0]


def test_local_files_come_from_the_application_container(tmp_path):
    """A file has its own name or the one that it is given, those of a folder lie below that."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "one.json").touch()
    (tmp_path / "stop.txt").touch()
    files = [
        FileSpec(local_path=str(tmp_path / "rules"), file_path="etc"),
        FileSpec(local_path=str(tmp_path / "stop.txt")),
        FileSpec(local_path=str(tmp_path / "stop.txt"), file_path="lists/words.txt"),
    ]
    sent = body_of(TaskSpec(files=files)).resource_files[1:]
    assert [file.file_path for file in sent] == ["etc/one.json", "stop.txt", "lists/words.txt"]
    assert sent[0].http_url.startswith(f"{SIGNER.endpoint}/application-run/0a1b/files/etc/one.json?")
    assert {permissions(file.http_url) for file in sent} == {"r"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"local_path": "a", "http_url": "https://x/a"},
        {"http_url": "https://x/a?sv=1&sig=abc"},
        {"http_url": "https://me:secret@x/a"},
        {"http_url": "ftp://x/a"},
        {"http_url": "https://x/"},
        {"http_url": "https://x/a", "blob_prefix": "b"},
        {"local_path": "a", "identity": IDENTITY},
        {"local_path": "a", "file_path": "../a"},
        {"local_path": "a", "file_path": "/a"},
        {"local_path": "a", "file_path": "inputs/a"},
    ],
)
def test_a_file_that_cannot_be_is_refused(values):
    """A file has one source with no secret in it, and a place of its own in the working directory."""
    with pytest.raises(ValidationError):
        FileSpec(**values)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["missing"], "There is no file or folder"),
        (["a.txt", "a.txt"], "'a.txt' is given 2 times"),
        (["inputs"], "folder that the run itself uses"),
    ],
)
def test_local_files_that_will_not_do_are_told(tmp_path, names, message):
    """What is missing, doubled, or in the run's way is told before anything is created."""
    for name in {"a.txt", "inputs"} & set(names):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        find_extra_files([FileSpec(local_path=str(tmp_path / name)) for name in names])


def test_a_task_gets_no_more_files_than_its_body_can_name(tmp_path):
    """Beyond a hundred the message says what to do instead."""
    for number in range(FILES_MAX + 1):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(InputError, match="storage_container_url"):
        find_extra_files([FileSpec(local_path=str(tmp_path))])


def test_a_pool_for_container_tasks_fetches_their_image():
    """What the pool says itself comes first; without a container nothing is added."""
    registry = RegistrySpec(server="acr.io", username="me", password_variable="P")
    task = TaskSpec(container={"image": "acr.io/words:1", "registry": registry})
    assert pool_for(task, PoolSpec()).containers == ContainersSpec(
        images=["acr.io/words:1"], registry=registry
    )
    other = PoolSpec(containers={"images": ["base:2"], "registry": {"server": "b.io", "identity": IDENTITY}})
    assert pool_for(task, other).containers.images == ["base:2", "acr.io/words:1"]
    assert pool_for(task, other).containers.registry.server == "b.io"
    assert pool_for(TaskSpec(), PoolSpec()) == PoolSpec()


def test_an_identity_needs_a_pool_that_has_it(tmp_path):
    """A pool that a run makes has none, which is told before anything is created."""
    task = TaskSpec(files=[FileSpec(http_url="https://x/a", identity=IDENTITY)])
    with pytest.raises(InputError, match="has no managed identity"):
        plan(tmp_path, PoolSpec(), task)
    assert plan(tmp_path, PoolSpec(pool_id="mine"), task).spec.pool.pool_id == "mine"


def plan(tmp_path, pool: PoolSpec, task: TaskSpec):
    (tmp_path / "in.txt").touch()
    spec = RunSpec(
        run_key="run",
        inputs=tmp_path / "in.txt",
        application=None,
        command="cat {input}",
        output_dir=tmp_path / "out",
        pool=pool,
        task=task,
    )
    return plan_run(spec)
