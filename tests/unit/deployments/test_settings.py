"""The variables that the services of the local stack and its clients get."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

from batch_emulator import settings as emulator
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
