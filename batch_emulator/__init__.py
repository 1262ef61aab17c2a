"""A local Azure Batch service.

with batch_emulator.serve() as account:
    client = BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key))
"""

from typing import TYPE_CHECKING, Any

from batch_emulator.settings import DEFAULT_ACCOUNT, DEFAULT_KEY, DEFAULT_PORT, Settings

if TYPE_CHECKING:
    from batch_emulator.server import Account, serve

__all__ = ["DEFAULT_ACCOUNT", "DEFAULT_KEY", "DEFAULT_PORT", "Account", "Settings", "serve"]


def __getattr__(name: str) -> Any:
    # The pure parts are importable without the server's.
    if name in ("Account", "serve"):
        from batch_emulator import server

        return getattr(server, name)
    raise AttributeError(name)
