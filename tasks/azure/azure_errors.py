"""Azure's exceptions, turned into ours with a message that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Literal

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from requests import RequestException

from tasks.azure.accounts import current_source
from tasks.azure.clocks import describe_skew
from tasks.azure.error_codes import PASSING, has_code, read_code
from tasks.azure.foreign_answers import PAGE_STATUSES, ForeignAnswerError
from tasks.base.deadlines import is_time_up
from tasks.errors import (
    AccessError,
    BusyError,
    FanOutError,
    NotFoundError,
    RefusedError,
    TemporaryError,
    UnreachableError,
)

Service = Literal["Batch", "Storage"]

VARIABLES = {
    "Batch": "AZURE_BATCH_ACCOUNT and AZURE_BATCH_ACCESS_KEY",
    "Storage": "AZURE_STORAGE_CONNECTION_STRING (or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY)",
}
ENDPOINT_VARIABLES = {
    "Batch": "AZURE_BATCH_ENDPOINT",
    "Storage": "AZURE_STORAGE_CONNECTION_STRING (or AZURE_STORAGE_ACCOUNT)",
}
BLOCKS = {"Batch": "azure-batch-account", "Storage": "azure-storage-account"}
ROLES = {
    "Batch": "Azure Batch Data Contributor",
    "Storage": "Storage Blob Data Contributor and Storage Blob Delegator",
}
# How the clients' library for connections names the other end.
CLIENT_HOST = re.compile(r"\bhost='([^']+)', port=(\d+)")
# What follows are the request's own lines, which tell nobody why a key is wrong.
SIGNED_TEXT = " Server used following string to sign"


def describe_source(variables: str, service: Service) -> str:
    """Where the account's values came from: these environment variables, or a block."""
    source = current_source()
    return f"the block {BLOCKS[service]}/{source}" if source else variables


def _describe_credentials(service: Service) -> str:
    return describe_source(VARIABLES[service], service)


def _describe_endpoint(service: Service) -> str:
    return describe_source(ENDPOINT_VARIABLES[service], service)


@contextmanager
def explained(service: Service, doing: str) -> Iterator[None]:
    """Raise what Azure's clients raise in this block as one of our errors; `doing` says what failed."""
    try:
        yield
    except AzureError as error:
        raise explain(error, service, doing) from error
    except (DeserializationError, JSONDecodeError) as error:
        said = first_line(str(error))
        raise TemporaryError(f"{doing}: the answer of Azure {service} can't be read. {said}") from error


def explain(error: AzureError, service: Service, doing: str) -> FanOutError:
    """Our error for one of Azure's, retryable if a retry can heal it."""
    explained = _explain(error, service, doing)
    if isinstance(explained, TemporaryError) and not isinstance(explained, BusyError) and is_time_up():
        return type(explained)(f"{explained} It was asked again until time was up.")
    return explained


def _explain(error: AzureError, service: Service, doing: str) -> FanOutError:
    where = f"{doing}: Azure {service}"
    if isinstance(error, HttpResponseError) and error.status_code:
        return _explain_answer(error, service, where)
    if isinstance(error, ClientAuthenticationError) and is_time_up():
        return UnreachableError(
            f"{where}: nobody has given a token. Is there a way to Entra ID, or to the identity of this "
            f"machine? {first_line(str(error))}"
        )
    if isinstance(error, ClientAuthenticationError):
        return AccessError(
            f"{where}: no credentials. Set {_describe_credentials(service)}, or sign in (az login) with an "
            f"identity that has the role {ROLES[service]}. {first_line(str(error))}"
        )
    if isinstance(error, ForeignAnswerError):
        return _explain_foreign(error, service, where)
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return UnreachableError(
            f"{where} does not answer. Is {_describe_endpoint(service)} right, and the network up? "
            f"{_describe_silence(error)}"
        )
    return TemporaryError(f"{where}: {_describe_silence(error)}")


def _explain_foreign(error: ForeignAnswerError, service: Service, where: str) -> FanOutError:
    said = (
        f"{where} is not what answers, but a gateway, a proxy or a page to sign in at ({error}). Is "
        f"{_describe_endpoint(service)} right, and may this machine go there?"
    )
    if error.status in (401, 403, 407):
        return AccessError(said)
    is_passing = error.status in PAGE_STATUSES | {408, 429} or error.status >= 500
    return UnreachableError(said) if is_passing else RefusedError(said)


def _describe_silence(error: AzureError) -> str:
    """What the network said, and of which host: under the words of the libraries that passed it on."""
    text, cause = str(error), _find_network_error(error.inner_exception)
    if cause is None:
        return first_line(text)
    said = first_line(cause.strerror or str(cause)) or "no reason given"
    host = CLIENT_HOST.search(text)
    return f"{host[1]}:{host[2]}: {said}" if host else said


def _find_network_error(error: BaseException | None) -> OSError | None:
    """The system's error that an error of Azure's came from; those of `requests` only repeat it."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, RequestException):
            return error
        error = error.__cause__ or error.__context__
    return None


def _explain_answer(error: HttpResponseError, service: Service, where: str) -> FanOutError:
    said = f"{error.status_code} {read_code(error)}: {_read_message(error)}"
    status = error.status_code or 0
    skew = describe_skew(getattr(error.response, "headers", {}))
    if status in (401, 403) and skew:
        return AccessError(f"{where} refused a signature. {skew} It answered {said}")
    if status in (401, 403):
        return AccessError(
            f"{where} refused the credentials. Look at {_describe_credentials(service)}; an identity needs "
            f"the role {ROLES[service]}. It answered {said}"
        )
    if has_code(error, *PASSING):
        return BusyError(f"{where} answered {said}")
    if status in (408, 429) or status >= 500:
        return TemporaryError(f"{where} answered {said}")
    kind = NotFoundError if status == 404 else RefusedError
    return kind(f"{where} answered {said}")


def _read_message(error: HttpResponseError) -> str:
    """The service's message and the values that say which property and why, with no SAS signature."""
    model = getattr(error, "model", None)
    message = getattr(getattr(model, "message", None), "value", None) or error.message or ""
    values = [
        f"{detail.key}: {first_line(detail.value or '').partition(SIGNED_TEXT)[0]}"
        for detail in getattr(model, "error_values", None) or []
    ]
    return redacted("; ".join([first_line(message), *values]))


def first_line(text: str) -> str:
    return redacted(text.strip().splitlines()[0]) if text.strip() else ""


def redacted(text: str) -> str:
    """The text with the signature of each SAS replaced, so that none gets into a log or an artifact."""
    return re.sub(r"(?i)\b(sig=)[^&\s\"']+", r"\1REDACTED", text)
