"""Accounts from Prefect blocks: kept, loaded by name, used by a run and by what cleans up behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Crashed
from pydantic import SecretStr, ValidationError

from deployments.accounts import main
from flows.cleanup import cleanup
from flows.fan_out import fan_out
from flows.sweep import sweep
from tasks.azure.accounts import Accounts, read_accounts
from tasks.azure.blocks import (
    BLOCK_TYPES,
    AzureBatchAccount,
    AzureStorageAccount,
    load_accounts,
    save_accounts,
)
from tasks.errors import AccessError, FilesFailedError, SettingsError
from tasks.spec.specs import Cleanup, PoolSpec
from tests.flows.services import write_files

VARIABLES = (
    "AZURE_BATCH_ACCOUNT",
    "AZURE_BATCH_ACCESS_KEY",
    "AZURE_BATCH_ENDPOINT",
    "AZURE_STORAGE_CONNECTION_STRING",
)


@pytest.fixture
def blocks(accounts, run_key, monkeypatch) -> Iterator[str]:
    """The name of blocks of the local accounts, which the environment doesn't name any more."""
    save_accounts(run_key, read_accounts())
    with monkeypatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name)
        yield run_key


@pytest.fixture
def inputs(tmp_path):
    return write_files(tmp_path / "in", {"one.txt": "a b", "two.txt": "c d e"})


@pytest.fixture
def secrets(batch_account, storage) -> tuple[str, str]:
    return batch_account.key, storage.account_key


def test_accounts_are_kept_and_loaded(prefect_server):
    """What is saved under a name is loaded under it, and saving again replaces it."""
    with_keys = Accounts(
        "https://b", "acc", "a2V5", storage_connection_string="AccountName=a;AccountKey=a2V5"
    )
    without = Accounts("https://b", storage_endpoint="https://files.blob.core.windows.net")
    for accounts in (with_keys, without):
        save_accounts("kept", accounts)
        loaded = load_accounts("kept")
        assert loaded.source == "kept"
        assert (loaded.batch_endpoint, loaded.batch_account, loaded.batch_key) == (
            accounts.batch_endpoint,
            accounts.batch_account,
            accounts.batch_key,
        )
        assert loaded.storage_connection_string == accounts.storage_connection_string
        assert loaded.storage_endpoint == accounts.storage_endpoint


def test_the_accounts_of_the_environment_are_kept_by_a_command(accounts, run_key, capsys, monkeypatch):
    """`python -m deployments.accounts save NAME` says what it has made, or which variable is missing."""
    assert main(["save", run_key]) == 0
    assert f"azure-batch-account/{run_key}" in capsys.readouterr().out
    assert load_accounts(run_key).batch_key == read_accounts().batch_key
    monkeypatch.delenv("AZURE_BATCH_ENDPOINT")
    assert main(["save", run_key]) == 1
    assert "AZURE_BATCH_ENDPOINT" in capsys.readouterr().err


def test_a_run_uses_the_accounts_that_it_names(
    blocks, inputs, tmp_path, monkeypatch, batch_account, use_batch
):
    """All steps of a run, in their threads too, speak to the accounts of the blocks."""
    result = fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=blocks, accounts=blocks)
    assert len(result.outputs) == 2


def test_failures_are_told_with_the_accounts_of_the_blocks(blocks, inputs, tmp_path):
    """What failed tasks printed is read from the same accounts."""
    with pytest.raises(FilesFailedError, match="no such thing"):
        fan_out(
            inputs,
            None,
            "sh -c 'echo no such thing >&2; exit 3'",
            tmp_path / "out",
            run_key=blocks,
            accounts=blocks,
        )


def test_cleanup_uses_the_accounts_of_the_run(blocks, inputs, tmp_path):
    """Behind a crashed run the accounts are those of its parameter; a sweep is told them."""
    keep = Cleanup(containers="never", job="never", pool="never")
    fan_out(inputs, None, "cat {input}", tmp_path / "out", PoolSpec(), keep, run_key=blocks, accounts=blocks)
    parameters = {"run_key": blocks, "accounts": blocks, "cleanup": Cleanup().model_dump()}
    with get_client(sync_client=True) as client:
        crashed = client.create_flow_run(fan_out, parameters=parameters, state=Crashed())
    assert sweep(dry_run=True, accounts=blocks)["kept"] >= 5
    assert [deed.outcome for deed in cleanup(crashed.id)] == ["deleted"] * 3


def test_no_key_is_recorded(blocks, inputs, tmp_path, secrets, caplog):
    """Neither parameters nor logs nor artifacts of a run hold a key, and a block's answer is masked."""
    fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=blocks, accounts=blocks)
    with get_client(sync_client=True) as client:
        runs = [run.model_dump_json() for run in client.read_flow_runs(limit=200)]
        tasks = [run.model_dump_json() for run in client.read_task_runs(limit=200)]
        artifacts = client.request("POST", "/artifacts/filter", json={}).text
        documents = json.dumps(client.request("POST", "/block_documents/filter", json={}).json())
    recorded = "\n".join([*runs, *tasks, artifacts, documents, caplog.text])
    assert blocks in recorded
    for secret in secrets:
        assert secret not in recorded


def test_a_wrong_key_in_a_block_names_the_block(blocks, inputs, tmp_path):
    """An error says where the refused key stands, which is not in the environment."""
    loaded = AzureBatchAccount.load(blocks)
    wrong = AzureBatchAccount(endpoint=loaded.endpoint, account=loaded.account, key=SecretStr("d3Jvbmc="))
    wrong.save(blocks, overwrite=True)
    with pytest.raises(AccessError, match=f"the block azure-batch-account/{blocks}"):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", run_key=blocks, accounts=blocks)


def test_a_block_that_is_not_there_is_named(prefect_server, inputs, tmp_path):
    """A name without blocks is told with how to make them."""
    with pytest.raises(SettingsError, match=r"no block azure-batch-account/none(.|\n)*accounts save none"):
        fan_out(inputs, None, "cat {input}", tmp_path / "out", accounts="none")


def test_a_block_gives_the_official_client(blocks):
    """`get_client` of a loaded block is ready to use."""
    assert AzureBatchAccount.load(blocks).get_client().list_pools() is not None
    assert list(AzureBatchAccount.load(blocks).get_client().list_supported_images())
    assert AzureStorageAccount.load(blocks).get_client().get_service_properties()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (AzureBatchAccount, {"endpoint": "https://b", "key": "x"}),
        (AzureStorageAccount, {}),
        (AzureStorageAccount, {"account": "a", "connection_string": "AccountName=a"}),
    ],
)
def test_a_block_that_cannot_be_is_refused(kind, values):
    """A key without the account it signs for, no account, and two, are told at once."""
    with pytest.raises(ValidationError):
        kind(**values)


def test_secrets_of_a_block_are_not_shown():
    """What prints a block doesn't print its keys."""
    shown = [
        repr(AzureBatchAccount(endpoint="https://b", account="a", key="c2VjcmV0")),
        str(AzureStorageAccount(account="a", key="c2VjcmV0")),
        AzureStorageAccount(connection_string="AccountKey=c2VjcmV0").model_dump_json(),
    ]
    assert "c2VjcmV0" not in "".join(shown)


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_a_block_type_explains_itself(kind):
    """The dashboard has a name, a description and a documentation page for each type."""
    assert kind.get_description()
    assert str(kind._documentation_url).startswith("https://learn.microsoft.com/")
    assert all(field.description for field in kind.model_fields.values())
