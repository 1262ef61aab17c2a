"""The variables that the services of the local stack and its clients get."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from batch_emulator import settings as emulator
from deployments import azurite
from deployments.local import services
from deployments.local import settings as local
from deployments.local.keys import new_keys
from deployments.local.settings import Settings, base_environment, client_environment

SETTINGS = Settings(Path("/stack"), storage_port=1, batch_port=2, prefect_port=3, keys=new_keys())


def test_a_client_gets_all_that_it_needs():
    """Azure's variables have the Azure CLI's names; Prefect's point at the stack's own server."""
    variables = client_environment(SETTINGS)
    assert variables["AZURE_BATCH_ACCOUNT"] == "devbatchaccount1"
    assert variables["AZURE_BATCH_ACCESS_KEY"] == SETTINGS.keys.batch
    assert variables["AZURE_BATCH_ENDPOINT"] == "http://127.0.0.1:2"
    assert "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;" in variables["AZURE_STORAGE_CONNECTION_STRING"]
    assert variables["PREFECT_API_URL"] == "http://127.0.0.1:3/api"
    assert variables["PREFECT_HOME"] == "/stack/prefect"


def test_no_key_is_known_to_others():
    """Each location has keys of its own, which no print shows: not the published ones, not another's."""
    keys, others = asdict(SETTINGS.keys), asdict(new_keys())
    assert not set(keys.values()) & {*others.values(), emulator.DEFAULT_KEY}
    assert not any(key in repr(SETTINGS) for key in keys.values())


def test_nothing_is_reported_to_anyone():
    """Prefect's usage reports are off for services and clients."""
    variables = client_environment(SETTINGS)
    assert variables["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert variables["DO_NOT_TRACK"] == "1"


def test_defaults_are_those_of_the_batch_service():
    """Without options the stack serves the account that the local Batch service has by itself."""
    assert emulator.DEFAULT_ACCOUNT == local.BATCH_ACCOUNT
    assert emulator.DEFAULT_PORT == local.BATCH_PORT


def test_no_part_reaches_the_accounts_of_the_caller():
    """A real account or a Prefect Cloud login in the caller's environment stays out of the stack."""
    variables = base_environment({"AZURE_CLIENT_SECRET": "x", "PREFECT_API_KEY": "y", "HOME": "/home/me"})
    assert not [name for name in variables if name.startswith(("AZURE_", "PREFECT_"))]
    assert variables["HOME"] == "/home/me"


def test_services_find_this_python_first():
    """`python3` in a service, and so on a local node, is the interpreter that everything is installed in."""
    assert base_environment({"PATH": "/usr/bin"})["PATH"].split(os.pathsep) == [
        str(Path(sys.executable).parent),
        "/usr/bin",
    ]


def test_a_proxy_is_not_used_for_this_machine():
    """127.0.0.1 is reached directly, beside what the caller excepts already."""
    assert base_environment({"NO_PROXY": "example.com"})["no_proxy"] == "127.0.0.1,localhost,example.com"
    assert base_environment({})["NO_PROXY"] == "127.0.0.1,localhost"


def service(start: Callable[[Settings], services.ServiceSpec], part: str) -> Callable[[Settings], str]:
    """That part of the command which starts a service, as text."""
    return lambda settings: str(getattr(start(settings).command, part))


def locks(settings: Settings) -> str:
    """What each service is told to ask of its clients."""
    batch, storage = services.batch(settings).command.env, services.storage(settings).command.env
    server = services.prefect_server(settings).command.env
    names = ("BATCH_EMULATOR_KEY", "AZURITE_ACCOUNTS", "PREFECT_SERVER_API_AUTH_STRING")
    return " ".join(env[name] for env, name in zip((batch, storage, server), names, strict=True))


KEYS = new_keys()
# Setting -> value, where it is looked for, what is found there.
OBSERVED = {
    "location": (Path("elsewhere"), service(services.batch, "argv"), "elsewhere/batch"),
    "storage_port": (11, service(services.storage, "argv"), "'11'"),
    "batch_port": (12, service(services.batch, "argv"), "'12'"),
    "prefect_port": (13, service(services.prefect_server, "argv"), "'13'"),
    "keys": (KEYS, locks, f"{KEYS.batch} devstoreaccount1:{KEYS.storage} {KEYS.prefect}"),
    "is_temporary": (True, service(services.worker, "scratch"), "here"),
    "batch_account": ("other", service(services.batch, "argv"), "'other'"),
}


@pytest.mark.parametrize("name", OBSERVED)
def test_setting_has_an_effect(name, tmp_path, monkeypatch):
    """A setting gets to the command of the service that it is for; without it something else does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(azurite, "install", lambda: Path("azurite"))
    settings = replace(SETTINGS, location=Path("here"))
    value, observe, expected = OBSERVED[name]
    assert expected in observe(replace(settings, **{name: value}))
    assert expected not in observe(settings)


def test_each_setting_is_observed():
    """Each field of Settings has an observation."""
    assert set(OBSERVED) == {each.name for each in fields(Settings)}
