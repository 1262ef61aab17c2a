"""What is said where the Prefect server can't be used."""

import httpx
import pytest
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server_errors import explain_server_error


def refuse(status: int) -> PrefectHTTPStatusError:
    request = httpx.Request("GET", "http://server/api/admin/version")
    return PrefectHTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    ("error", "url", "said"),
    [
        (
            refuse(401),
            "http://server/api",
            "api refused to be used (401): look at PREFECT_API_AUTH",
        ),
        (RuntimeError("Failed to reach API at http://server"), "http://server", "its address ends in /api"),
        (RuntimeError("Failed to reach API at http://api.a"), "http://api.a", "its address ends in /api"),
        (
            RuntimeError("Failed to reach API at http://server/api"),
            "http://server/api",
            "is a Prefect",
        ),
    ],
)
def test_a_server_that_can_not_be_used_is_one_line(error, url, said):
    """With the variable, or the part of the address, that is wrong."""
    with temporary_settings({PREFECT_API_URL: url}):
        explained = explain_server_error(error)
    assert explained is not None
    assert said in explained
    assert "\n" not in explained


def test_other_errors_are_none_of_it():
    """A fault of the server, or of ours, keeps its traceback."""
    assert explain_server_error(refuse(500)) is None
    assert explain_server_error(RuntimeError("a fault")) is None
