"""Prefect's result storage in a blob container, so that runs on any machine share what they remember."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from prefect.filesystems import WritableFileSystem
from pydantic import Field, HttpUrl

from tasks.azure import blobs
from tasks.azure.accounts import using
from tasks.azure.blocks import AzureStorageAccount
from tasks.errors import NotFoundError

CONTAINER = "prefect-results"


class AzureBlobResults(WritableFileSystem):
    """A blob container as Prefect's result storage."""

    _block_type_name = "Azure Blob Results"
    _block_type_slug = "azure-blob-results"
    _description = "A blob container in which Prefect keeps the results of flows and tasks."
    _documentation_url = HttpUrl("https://learn.microsoft.com/azure/storage/blobs/storage-blobs-introduction")
    _code_example = """\
```python
from flows.fan_out import fan_out
from tasks.reuse.result_storage import AzureBlobResults

fan_out.with_options(result_storage=AzureBlobResults.load("prod"))
```"""

    account: AzureStorageAccount = Field(title="Account", description="The storage account.")
    container: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=63)] = (
        Field(
            default=CONTAINER,
            title="Container",
            description="The blob container; it is made if there is none.",
        )
    )

    def read_path(  # pyright: ignore[reportIncompatibleMethodOverride]  # Prefect's own storages take `_sync`.
        self, path: str, _sync: bool = True
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """The content of a blob; to be awaited unless `_sync`. Raises ValueError if there is none, as
        Prefect's own storage does."""
        return self.read(path) if _sync else asyncio.to_thread(self.read, path)

    def write_path(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, path: str, content: bytes, _sync: bool = True
    ) -> str | Coroutine[Any, Any, str]:
        """Replace the content of a blob; its name. To be awaited unless `_sync`."""
        return self.write(path, content) if _sync else asyncio.to_thread(self.write, path, content)

    def read(self, path: str) -> bytes:
        try:
            with using(self.account.as_accounts()):
                return blobs.read_blob(self.container, path)
        except NotFoundError as error:
            raise ValueError(f"There is no blob {path} in the container {self.container}.") from error

    def write(self, path: str, content: bytes) -> str:
        with using(self.account.as_accounts()):
            try:
                blobs.write_blob(self.container, path, content)
            except NotFoundError:
                blobs.create_container(self.container)
                blobs.write_blob(self.container, path, content)
        return path
