"""Uploading a node's log to a container, with the SAS in its URL."""

from __future__ import annotations

import logging

from batch_emulator.node.resource_files import blob_url
from batch_emulator.node.transfer import StorageError, TransferError, Transfers

log = logging.getLogger(__name__)
_HEADERS = {"x-ms-version": "2021-12-02", "x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain"}


async def upload_text(container_url: str, blob: str, text: str) -> None:
    """Write one blob. What goes wrong is logged only: the request that asked for it has been answered."""
    transfers = Transfers()
    url = blob_url(container_url, blob)

    async def put() -> None:
        async with transfers.answer("PUT", url, headers=_HEADERS, content=text.encode()):
            pass

    try:
        await transfers.attempt(put)
    except (StorageError, TransferError) as error:
        log.warning("The log %s could not be uploaded: %s", blob, type(error).__name__)
    finally:
        await transfers.close()
