"""Azure's clients for the accounts in use, one of each for the process and for many threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import requests
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient

from tasks.azure.accounts import Accounts, current_accounts
from tasks.azure.azure_errors import describe_source, explain, explained
from tasks.azure.error_codes import ENDED_JOB, has_code
from tasks.azure.patience import PatientAdapter
from tasks.azure.plain_batch import API_VERSION
from tasks.azure.retrying import RetryUntilDeadline, TransportUntilDeadline
from tasks.base.deadlines import glance
from tasks.errors import JobEndedError, SettingsError
from tasks.prefect.observing import left_out_on_failure

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

CONNECTIONS = 64
# Blobs travel in blocks of this size, so that memory is this times the threads, not the size of files.
BLOCK_BYTES = 8 * 1024 * 1024
# For a few calls.
TOLD_SECONDS = 15.0


@contextmanager
def batch_client(doing: str) -> Iterator[BatchClient]:
    """The Batch client; errors in the block become ours, with `doing` in front."""
    client = get_batch_client(current_accounts())
    with explained("Batch", doing):
        yield client


@contextmanager
def open_job(doing: str) -> Iterator[BatchClient]:
    """A client for what is done in a job that still takes tasks; `doing` says what that is.

    Raises JobEndedError for whatever answer says that the job takes none any more.
    """
    with batch_client(doing) as client:
        try:
            yield client
        except HttpResponseError as error:
            if not has_code(error, *ENDED_JOB):
                raise
            raise JobEndedError(str(explain(error, "Batch", doing))) from error


@contextmanager
def only_told(what: str) -> Iterator[None]:
    """Ask Batch for what is only told and decides nothing: it has little time, and fails no run."""
    doing = f"Looking at {what}"
    with left_out_on_failure(doing), explained("Batch", doing), glance(TOLD_SECONDS):
        yield


@contextmanager
def blob_service(doing: str) -> Iterator[BlobServiceClient]:
    """The storage client; errors in the block become ours, with `doing` in front."""
    service = get_blob_service(current_accounts())
    with explained("Storage", doing):
        yield service


@cache
def get_batch_client(accounts: Accounts) -> BatchClient:
    if accounts.batch_key and accounts.batch_account:
        credential = AzureNamedKeyCredential(accounts.batch_account, accounts.batch_key)
    else:
        credential = _entra_credential()
    policy = RetryUntilDeadline("Batch")
    options = {"transport": _build_transport(), "retry_policy": policy, "api_version": API_VERSION}
    return BatchClient(accounts.batch_endpoint, credential, **options)


@cache
def get_blob_service(accounts: Accounts) -> BlobServiceClient:
    options = {
        "transport": _build_transport(),
        "max_single_put_size": BLOCK_BYTES,
        "max_block_size": BLOCK_BYTES,
        "max_single_get_size": BLOCK_BYTES,
        "max_chunk_get_size": BLOCK_BYTES,
        "retry_policy": RetryUntilDeadline("Storage"),
    }
    if accounts.storage_connection_string is None and accounts.storage_endpoint is not None:
        credential = accounts.storage_key or _entra_credential()
        return BlobServiceClient(accounts.storage_endpoint, credential, **options)
    try:
        return BlobServiceClient.from_connection_string(accounts.storage_connection_string or "", **options)
    except ValueError as error:
        place = describe_source("AZURE_STORAGE_CONNECTION_STRING", "Storage")
        raise SettingsError(f"{place} can't be read: {error}") from error


@cache
def _entra_credential() -> "DefaultAzureCredential":
    # Slow to load, and of no use where there are keys.
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(
        transport=TransportUntilDeadline(session=_open_session(), session_owner=False)
    )


def _build_transport() -> RequestsTransport:
    return RequestsTransport(session=_open_session(), session_owner=False)


def _open_session() -> requests.Session:
    """Connections for as many threads as a run uses; the default pool of 10 would open and drop them."""
    session = requests.Session()
    adapter = PatientAdapter(pool_connections=4, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
