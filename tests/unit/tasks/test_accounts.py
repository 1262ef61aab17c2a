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


def test_all_that_can_name_no_account_is_told_at_once():
    """A line for each, so that one does not come back with the next."""
    wrong = {"AZURE_BATCH_ACCESS_KEY": "c2VjcmV0YQ=", "AZURE_STORAGE_CONNECTION_STRING": "nonsense"}
    with pytest.raises(SettingsError) as caught:
        read_accounts({**KEYS, **wrong})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == list(wrong)


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


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        (" 'acc.westeurope.batch.azure.com/' ", "https://acc.westeurope.batch.azure.com"),
        ("HTTPS://ACC.WestEurope.batch.azure.com", "https://acc.westeurope.batch.azure.com"),
        ("127.0.0.1:10003", "http://127.0.0.1:10003"),
        ("localhost:10003/", "http://localhost:10003"),
        ("http://batch:10003", "http://batch:10003"),
        ("https://gateway.example/batch", "https://gateway.example/batch"),
    ],
)
def test_an_endpoint_is_taken_as_people_copy_it(given, endpoint):
    """Quotes of an env file, blanks, capitals, a last slash and a scheme that is left out do no harm."""
    assert read_accounts({**KEYS, "AZURE_BATCH_ENDPOINT": given}).batch_endpoint == endpoint


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("MyFiles", "https://myfiles.blob.core.windows.net"),
        ("myfiles.blob.core.windows.net", "https://myfiles.blob.core.windows.net"),
        ("https://MyFiles.blob.core.windows.net/", "https://myfiles.blob.core.windows.net"),
        ("http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10000/devstoreaccount1"),
    ],
)
def test_a_storage_account_is_a_name_a_host_or_a_url(given, endpoint):
    """Whichever of these is copied, it is the same account."""
    rest = {name: value for name, value in KEYS.items() if not name.startswith("AZURE_STORAGE")}
    accounts = read_accounts({**rest, "AZURE_STORAGE_ACCOUNT": given, "AZURE_STORAGE_KEY": "c2VjcmV0"})
    assert accounts.storage_endpoint == endpoint


LONG_KEY = "c2VjcmV0" * 11


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("AZURE_BATCH_ENDPOINT", "acc", r"is 'acc', which is no endpoint; one is https://ACCOUNT\."),
        ("AZURE_BATCH_ENDPOINT", "https//acc.westeurope.batch.azure.com", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", "https:/acc.westeurope.batch.azure.com", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", "http://acc.westeurope.batch.azure.com", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", "https://<account>.westeurope.batch.azure.com", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", "https://portal.azure.com/#@contoso/resource", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", "http://host:port", "no endpoint"),
        ("AZURE_BATCH_ENDPOINT", LONG_KEY, "is what looks like a key"),
        ("AZURE_BATCH_ENDPOINT", "https://acc.blob.core.windows.net", "of blob storage"),
        ("AZURE_BATCH_ENDPOINT", "https://bcc.westeurope.batch.azure.com", "account bcc, and .* as acc"),
        ("AZURE_BATCH_ACCOUNT", "Acc", "Is acc meant"),
        ("AZURE_BATCH_ACCOUNT", "acc.westeurope.batch.azure.com", "Is acc meant"),
        (
            "AZURE_BATCH_ACCOUNT",
            LONG_KEY,
            r"is what looks like a key, which is no account's name: .*digits\.$",
        ),
        ("AZURE_STORAGE_ACCOUNT", "https://files.dfs.core.windows.net", r"Is files\.blob\.core"),
        ("AZURE_STORAGE_ACCOUNT", "my_fi les", "no endpoint"),
        ("AZURE_STORAGE_CONNECTION_STRING", "nonsense", "can't be read, or lacks AccountName and AccountKey"),
        ("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a\nAccountKey={LONG_KEY}", "can't be read"),
        ("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=Files;AccountKey={LONG_KEY}", "Is files meant"),
        (
            "AZURE_STORAGE_CONNECTION_STRING",
            "BlobEndpoint=https://a.b;SharedAccessSignature=c2Vj",
            "lacks",
        ),
    ],
)
def test_what_names_no_account_is_one_line_of_that_variable(variable, value, message):
    """A slip of the clipboard is told at once, by the variable's name, and a key is never shown."""
    with pytest.raises(SettingsError, match=f"{variable} .*{message}") as caught:
        read_accounts({**KEYS, variable: value})
    assert "\n" not in str(caught.value)
    assert not {LONG_KEY, "c2Vj"} & set(re.split(r"[\s=]", str(caught.value)))


def test_every_variable_that_is_read_is_documented():
    """The fields' documentation names exactly the variables that the code reads."""
    documentation = inspect.getsource(Accounts)
    code = inspect.getsource(settings).replace(documentation, "")
    assert set(re.findall(r"AZURE_\w+", documentation)) == set(re.findall(r"AZURE_\w+", code))
