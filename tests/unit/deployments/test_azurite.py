"""What Azurite is told, decided without starting it."""

import json
import re
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from deployments import azurite
from deployments.errors import StartError

KEY = azurite.new_account_key()


def test_the_version_is_exact():
    """The committed package.json names one version, so that every installation is the same."""
    assert re.fullmatch(
        r"\d+\.\d+\.\d+", json.loads(azurite.PACKAGE_JSON.read_text())["dependencies"]["azurite"]
    )


@pytest.mark.parametrize(
    "options", [{"cert": Path("c")}, {"key": Path("k")}, {"oauth": True}], ids=["no key", "no cert", "no TLS"]
)
def test_half_of_tls_is_refused(tmp_path, options):
    """Certificate and key come only together, and bearer tokens need both."""
    with pytest.raises(StartError, match="`cert` and `key` together"):
        azurite.command(tmp_path, 0, KEY, **options)


def test_settings_of_another_azurite_are_ignored():
    """Variables that would change Azurite's accounts or database don't reach it; the one account is ours."""
    others = {"AZURITE_ACCOUNTS": "a:b", "AZURITE_DB": "mysql", "HOME": "/home/me"}
    variables = azurite.environment(others, KEY)
    assert variables == {"HOME": "/home/me", "AZURITE_ACCOUNTS": f"devstoreaccount1:{KEY}"}


def test_the_connection_string_is_understood_by_the_sdk():
    """azure-storage-blob reads endpoint and account from the connection string."""
    storage = azurite.blob_storage("http://127.0.0.1:12345", KEY)
    with BlobServiceClient.from_connection_string(storage.connection_string) as client:
        assert client.url.rstrip("/") == storage.blob_endpoint == "http://127.0.0.1:12345/devstoreaccount1"
        assert client.account_name == storage.account_name


def test_the_key_is_not_printed():
    """What a failed test or a log shows of the storage has no key in it."""
    assert KEY not in repr(azurite.blob_storage("http://127.0.0.1:1", KEY))
