"""The accounts as Prefect blocks, which a flow's parameter `accounts` names.

Two block types, one of a Batch and one of a storage account, whose documents share a name: `prod`, say. The
server keeps the keys encrypted; a flow run's parameters have the name only.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, TypeVar

from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient
from prefect.blocks.core import Block
from pydantic import AfterValidator, Field, HttpUrl, SecretStr, model_validator

from tasks.azure.account_values import blob_endpoint, clean, with_scheme
from tasks.azure.accounts import Accounts, read_accounts, using
from tasks.azure.clients import get_batch_client, get_blob_service
from tasks.azure.storage_accounts import using_others
from tasks.errors import SettingsError

NOWHERE = Accounts(batch_endpoint="")
ResourceId = Annotated[str, Field(pattern=r"^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/.+$")]
Kind = TypeVar("Kind", bound=Block)


class AzureBatchAccount(Block):
    """An Azure Batch account, with a shared key or, without one, Entra ID."""

    _block_type_name = "Azure Batch Account"
    _block_type_slug = "azure-batch-account"
    _description = "An Azure Batch account on which the flows of prefect-azure-batch run their tasks."
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/batch/accounts")
    _code_example = """\
```python
from tasks.azure.blocks import AzureBatchAccount

with AzureBatchAccount.load("prod").get_client() as client:
    print([pool.id for pool in client.list_pools()])
```"""

    endpoint: Annotated[str, AfterValidator(with_scheme)] = Field(
        title="Endpoint",
        description="The account's URL.",
        examples=["https://mybatch.westeurope.batch.azure.com"],
    )
    account: str | None = Field(
        default=None, title="Account", description="The account's name; a shared key signs with it."
    )
    key: SecretStr | None = Field(
        default=None,
        title="Key",
        description="A shared key, base64. Empty: Entra ID, by whatever DefaultAzureCredential finds where "
        "the flow runs, such as a managed identity.",
    )
    resource_id: ResourceId | None = Field(
        default=None,
        title="Resource id",
        description="The account's id in Azure Resource Manager, for links to the portal. Empty: no links.",
        examples=["/subscriptions/.../resourceGroups/words/providers/Microsoft.Batch/batchAccounts/mybatch"],
    )

    @model_validator(mode="after")
    def name_of_key(self) -> "AzureBatchAccount":
        if self.key is not None and not self.account:
            raise ValueError("a shared key needs the account's name: it signs with it")
        return self

    def get_client(self) -> BatchClient:
        """The official client of the account; it is shared, so leave it open."""
        return get_batch_client(_with_batch(NOWHERE, self))


class AzureStorageAccount(Block):
    """An Azure storage account, with a connection string, a shared key or, without either, Entra ID."""

    _block_type_name = "Azure Storage Account"
    _block_type_slug = "azure-storage-account"
    _description = "An Azure storage account through which the flows of prefect-azure-batch move files."
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/storage/common/storage-account-overview")
    _code_example = """\
```python
from tasks.azure.blocks import AzureStorageAccount

service = AzureStorageAccount.load("prod").get_client()
print([container.name for container in service.list_containers()])
```"""

    account: str | None = Field(
        default=None,
        title="Account",
        description="The account's name, or the URL of its blob endpoint.",
        examples=["myfiles", "https://myfiles.blob.core.windows.net"],
    )
    key: SecretStr | None = Field(
        default=None,
        title="Key",
        description="A shared key, base64. Empty: Entra ID, with user-delegation signatures for the nodes.",
    )
    connection_string: SecretStr | None = Field(
        default=None, title="Connection string", description="Account and key in one, instead of both."
    )
    resource_id: ResourceId | None = Field(
        default=None,
        title="Resource id",
        description="The account's id in Azure Resource Manager, for links to the portal. Empty: no links.",
        examples=[
            "/subscriptions/.../resourceGroups/words/providers/Microsoft.Storage/storageAccounts/myfiles"
        ],
    )

    @model_validator(mode="after")
    def some_account(self) -> "AzureStorageAccount":
        if (self.account is None) == (self.connection_string is None):
            raise ValueError("give either the account, with or without a key, or a connection string")
        return self

    def get_client(self) -> BlobServiceClient:
        """The official client of the account; it is shared, so leave it open."""
        return get_blob_service(self.as_accounts())

    def as_accounts(self) -> Accounts:
        """The account alone, with no Batch account."""
        return _with_storage(NOWHERE, self)


BLOCK_TYPES = (AzureBatchAccount, AzureStorageAccount)


def _with_batch(accounts: Accounts, block: AzureBatchAccount) -> Accounts:
    return replace(
        accounts,
        batch_endpoint=block.endpoint,
        batch_account=clean(block.account or "") or None,
        batch_key=_reveal(block.key),
        batch_resource_id=block.resource_id,
    )


def _with_storage(accounts: Accounts, block: AzureStorageAccount) -> Accounts:
    return replace(
        accounts,
        storage_connection_string=_reveal(block.connection_string),
        storage_endpoint=blob_endpoint(block.account),
        storage_key=_reveal(block.key),
        storage_resource_id=block.resource_id,
    )


def _reveal(secret: SecretStr | None) -> str | None:
    return clean(secret.get_secret_value()) or None if secret is not None else None


def _hide(secret: str | None) -> SecretStr | None:
    return SecretStr(secret) if secret is not None else None


@contextmanager
def using_accounts(name: str | None, others: Iterable[str] = ()) -> Iterator[None]:
    """Use the accounts of the blocks of that name; None: those of the environment. Raises SettingsError.

    `others` are the names of blocks of further storage accounts, on which inputs and outputs may be.
    """
    own = load_accounts(name) if name else _read_once()
    with using(own), using_others(map(_load_storage_account, others)):
        yield


def _read_once() -> Accounts | None:
    """The environment's, as each file of a run asks for them; None if they are not whole, which whoever needs
    them says."""
    try:
        return read_accounts()
    except SettingsError:
        return None


def _load_storage_account(name: str) -> Accounts:
    """The storage account alone of the block of that name. Raises SettingsError for one that isn't there."""
    return _with_storage(replace(NOWHERE, source=name), _load(AzureStorageAccount, name))


def load_accounts(name: str) -> Accounts:
    """Both accounts from the blocks of that name. Raises SettingsError for one that isn't there."""
    batch, storage = _load(AzureBatchAccount, name), _load(AzureStorageAccount, name)
    return _with_storage(_with_batch(replace(NOWHERE, source=name), batch), storage)


def _load(kind: type[Kind], name: str) -> Kind:
    try:
        return kind.load(name, _sync=True)  # pyright: ignore[reportCallIssue]
    except ValueError as error:
        slug = kind.get_block_type_slug()
        raise SettingsError(
            f"There is no block {slug}/{name} that can be read. Make it in Prefect's dashboard, or by "
            f"`python -m deployments.accounts save {name}`."
        ) from error


def save_accounts(name: str, accounts: Accounts) -> None:
    """Keep the accounts as blocks of that name, instead of what these had."""
    AzureBatchAccount(
        endpoint=accounts.batch_endpoint,
        account=accounts.batch_account,
        key=_hide(accounts.batch_key),
        resource_id=accounts.batch_resource_id,
    ).save(name, overwrite=True, _sync=True)  # pyright: ignore[reportCallIssue]
    in_one = accounts.storage_connection_string
    AzureStorageAccount(
        account=None if in_one else accounts.storage_endpoint,
        key=None if in_one else _hide(accounts.storage_key),
        connection_string=_hide(in_one),
        resource_id=accounts.storage_resource_id,
    ).save(name, overwrite=True, _sync=True)  # pyright: ignore[reportCallIssue]
