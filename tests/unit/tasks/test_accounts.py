"""Which accounts the environment names, and what is said when it names none."""

import inspect
import re

import pytest

from tasks.azure import accounts as settings
from tasks.azure.accounts import Accounts, read_accounts
from tasks.azure.clients import get_batch_client, get_blob_service
from tasks.errors import SettingsError

KEYS = {
    "AZURE_BATCH_ACCOUNT": "acc",
    "AZURE_BATCH_ACCESS_KEY": "c2VjcmV0",
    "AZURE_BATCH_ENDPOINT": "acc.westeurope.batch.azure.com/",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net",
}


def test_keys_of_both_accounts_are_read():
    """The Azure CLI's variables are taken, and an endpoint as the portal shows it gets its scheme."""
    accounts = read_accounts(KEYS)
    assert accounts.batch_endpoint == "https://acc.westeurope.batch.azure.com"
    assert accounts.batch_key == "c2VjcmV0"
    assert get_batch_client(accounts) is get_batch_client(read_accounts(KEYS))
    assert get_blob_service(accounts).account_name == "a"


def test_without_keys_the_names_alone_suffice():
    """With Entra ID only the endpoint and the storage account are named."""
    accounts = read_accounts({"AZURE_BATCH_ENDPOINT": "https://b", "AZURE_STORAGE_ACCOUNT": "files"})
    assert accounts == Accounts("https://b", storage_endpoint="https://files.blob.core.windows.net")
    assert get_blob_service(accounts).url == "https://files.blob.core.windows.net/"


@pytest.mark.parametrize(
    "name", ["AZURE_BATCH_ENDPOINT", "AZURE_BATCH_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING"]
)
def test_a_missing_variable_is_named(name):
    """What isn't set, or is set to nothing, is named in the message."""
    with pytest.raises(SettingsError, match=name):
        read_accounts({**KEYS, name: " "})


def test_all_that_is_missing_is_named_at_once():
    """A newcomer learns of everything to set in one go."""
    with pytest.raises(SettingsError, match=r"AZURE_BATCH_ENDPOINT, and AZURE_STORAGE_CONNECTION_STRING"):
        read_accounts({})


def test_secrets_are_not_shown():
    """What prints the accounts doesn't print their keys."""
    assert "c2VjcmV0" not in repr(read_accounts(KEYS))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AZURE_BATCH_ACCESS_KEY", "c2VjcmV0YQ="),
        ("AZURE_STORAGE_KEY", "not a key"),
        (
            "AZURE_STORAGE_CONNECTION_STRING",
            "AccountName=a;AccountKey=c2VjcmV0YQ=;EndpointSuffix=core.windows.net",
        ),
    ],
)
def test_a_key_that_can_be_none_is_one_line(variable, value):
    """A key that has lost its last character is told by its variable, and not shown."""
    with pytest.raises(SettingsError, match=rf"{variable} is no key") as caught:
        read_accounts({**KEYS, variable: value})
    assert "\n" not in str(caught.value)
    assert value not in str(caught.value)
    with pytest.raises(SettingsError, match="The block azure-batch-account/prod is no key"):
        Accounts("https://b", batch_key="c2VjcmV0YQ=", source="prod")


def test_a_connection_string_that_is_none_is_told():
    """A connection string that can't be read is told by the variable's name."""
    with pytest.raises(SettingsError, match="AZURE_STORAGE_CONNECTION_STRING can't be read"):
        get_blob_service(read_accounts({**KEYS, "AZURE_STORAGE_CONNECTION_STRING": "nonsense"}))


def test_every_variable_that_is_read_is_documented():
    """The fields' documentation names exactly the variables that the code reads."""
    documentation = inspect.getsource(Accounts)
    code = inspect.getsource(settings).replace(documentation, "")
    assert set(re.findall(r"AZURE_\w+", documentation)) == set(re.findall(r"AZURE_\w+", code))
