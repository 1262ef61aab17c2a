"""Other storage accounts than the run's own, on which inputs and outputs may be."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from tasks.azure.accounts import Accounts, using
from tasks.azure.clients import blob_service, get_blob_service
from tasks.errors import SettingsError

_others: ContextVar[Mapping[str, Accounts]] = ContextVar("other accounts", default=MappingProxyType({}))


@contextmanager
def using_others(accounts: Iterable[Accounts]) -> Iterator[None]:
    """Have what runs in this block find these storage accounts by their URLs."""
    token = _others.set({get_blob_service(one).url.rstrip("/"): one for one in accounts})
    try:
        yield
    finally:
        _others.reset(token)


def find_other_accounts() -> list[str]:
    """The URLs of the other accounts."""
    return list(_others.get())


def _is_own(url: str) -> bool:
    with blob_service("Locating the storage account") as service:
        return service.url.rstrip("/") == url


@contextmanager
def at_account(url: str) -> Iterator[None]:
    """Have the storage client in this block speak to the account at this URL; "" is the run's own.

    Raises SettingsError for one that is neither the run's own nor one of the others.
    """
    if not url or _is_own(url):
        yield
        return
    account = _others.get().get(url)
    if account is None:
        raise SettingsError(f"Nothing says how to sign in to {url}: name its block in storage_accounts.")
    with using(account):
        yield
