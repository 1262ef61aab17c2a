"""Which accounts a run uses, by default those of the environment; the names are those of the Azure CLI."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial

from tasks.azure.account_values import (
    blob_endpoint,
    check_batch_endpoint,
    check_blob_endpoint,
    check_connection_string,
    check_key,
    check_name,
    clean,
    with_scheme,
)
from tasks.errors import MissingSettingsError, SettingsError


@dataclass(frozen=True)
class Accounts:
    """One Batch account and one storage account; where there is no key, Entra ID is asked for a token."""

    batch_endpoint: str
    """AZURE_BATCH_ENDPOINT: the account's URL, `https://ACCOUNT.REGION.batch.azure.com`."""

    batch_account: str | None = None
    """AZURE_BATCH_ACCOUNT: the account's name; needed with a key, which it signs with."""

    batch_key: str | None = field(default=None, repr=False)
    """AZURE_BATCH_ACCESS_KEY: a shared key, base64. None: DefaultAzureCredential."""

    storage_connection_string: str | None = field(default=None, repr=False)
    """AZURE_STORAGE_CONNECTION_STRING: account and key in one. None: the two below."""

    storage_endpoint: str | None = None
    """AZURE_STORAGE_ACCOUNT: the account's name, or the URL of its blob endpoint."""

    storage_key: str | None = field(default=None, repr=False)
    """AZURE_STORAGE_KEY: a shared key, base64. None: DefaultAzureCredential and user-delegation SAS."""

    batch_resource_id: str | None = None
    """AZURE_BATCH_RESOURCE_ID: `/subscriptions/...`, for links to the portal. None: no links."""

    storage_resource_id: str | None = None
    """AZURE_STORAGE_RESOURCE_ID: the same of the storage account."""

    source: str | None = None
    """The name of the Prefect blocks that these were read from. None: the environment."""

    def __post_init__(self) -> None:
        """Raises SettingsError for all that can name no account, as a key that lost its last character."""
        problems = list(self._find_problems())
        if problems:
            raise SettingsError("\n".join(problems))

    def _find_problems(self) -> Iterator[str]:
        batch, storage = "azure-batch-account", "azure-storage-account"
        checks: list[tuple[Callable[[str], None], str, str]] = [
            (partial(check_key, self.batch_key), "AZURE_BATCH_ACCESS_KEY", batch),
            (partial(check_name, self.batch_account), "AZURE_BATCH_ACCOUNT", batch),
            (
                partial(check_batch_endpoint, self.batch_endpoint, self.batch_account),
                "AZURE_BATCH_ENDPOINT",
                batch,
            ),
            (partial(check_key, self.storage_key), "AZURE_STORAGE_KEY", storage),
            (partial(check_blob_endpoint, self.storage_endpoint), "AZURE_STORAGE_ACCOUNT", storage),
            (
                partial(check_connection_string, self.storage_connection_string),
                "AZURE_STORAGE_CONNECTION_STRING",
                storage,
            ),
        ]
        for check, variable, block in checks:
            try:
                check(self._locate(variable, block))
            except SettingsError as error:
                yield str(error)

    def _locate(self, variable: str, block: str) -> str:
        return f"the block {block}/{self.source}" if self.source else variable


# Read one by one: this is asked with each call, and an environment may be large.
VARIABLES = (
    "AZURE_BATCH_ENDPOINT",
    "AZURE_BATCH_ACCOUNT",
    "AZURE_BATCH_ACCESS_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_KEY",
    "AZURE_BATCH_RESOURCE_ID",
    "AZURE_STORAGE_RESOURCE_ID",
)

_in_use: ContextVar[Accounts | None] = ContextVar("accounts", default=None)


@contextmanager
def using(accounts: Accounts | None) -> Iterator[None]:
    """Have the clients in this block, and in the Prefect tasks that it starts, speak to these accounts.

    None leaves it at those of the environment. They travel in no parameter, so that no key is recorded.
    """
    token = _in_use.set(accounts)
    try:
        yield
    finally:
        _in_use.reset(token)


def current_accounts() -> Accounts:
    """The accounts of the block that this runs in, else those of the environment. Raises SettingsError."""
    return _in_use.get() or read_accounts()


def current_source() -> str | None:
    """The name of the blocks that the accounts came from; None for the environment."""
    accounts = _in_use.get()
    return accounts and accounts.source


def read_accounts(environment: Mapping[str, str] = os.environ) -> Accounts:
    """The accounts that the environment names. Raises SettingsError naming each variable that is missing."""
    return _read_variables(tuple(clean(environment.get(name, "")) for name in VARIABLES))


# Asked with each call of a run, and checked once.
@lru_cache(maxsize=8)
def _read_variables(given: tuple[str, ...]) -> Accounts:
    values = {name: value for name, value in zip(VARIABLES, given, strict=True) if value}
    missing = _missing_variables(values)
    if missing:
        raise MissingSettingsError(
            f"Set {', and '.join(missing)}: without that there is no account to run on."
        )
    return Accounts(
        batch_endpoint=with_scheme(values["AZURE_BATCH_ENDPOINT"]),
        batch_account=values.get("AZURE_BATCH_ACCOUNT"),
        batch_key=values.get("AZURE_BATCH_ACCESS_KEY"),
        storage_connection_string=values.get("AZURE_STORAGE_CONNECTION_STRING"),
        storage_endpoint=blob_endpoint(values.get("AZURE_STORAGE_ACCOUNT")),
        storage_key=values.get("AZURE_STORAGE_KEY"),
        batch_resource_id=values.get("AZURE_BATCH_RESOURCE_ID"),
        storage_resource_id=values.get("AZURE_STORAGE_RESOURCE_ID"),
    )


def _missing_variables(values: Mapping[str, str]) -> list[str]:
    missing = [] if "AZURE_BATCH_ENDPOINT" in values else ["AZURE_BATCH_ENDPOINT"]
    if "AZURE_BATCH_ACCESS_KEY" in values and "AZURE_BATCH_ACCOUNT" not in values:
        missing.append("AZURE_BATCH_ACCOUNT")
    if not {"AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"} & values.keys():
        missing.append("AZURE_STORAGE_CONNECTION_STRING (or AZURE_STORAGE_ACCOUNT)")
    return missing
