"""What is wrong with the Prefect server that is to record a run, where Prefect itself has a traceback."""

from urllib.parse import urlsplit

from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

UNREACHED = ("Failed to reach API at", "Timed out while attempting to connect")
REFUSED = (401, 403)
HINT = (
    "is a Prefect server running there? With PREFECT_API_URL unset, a temporary one is started for the run."
)
ADDRESS_HINT = "its address ends in /api."


def explain_server_error(error: Exception) -> str | None:
    """One line that says what to look at; None of an error of another kind."""
    url = str(get_current_settings().api.url or "")
    if isinstance(error, PrefectHTTPStatusError) and error.response.status_code in REFUSED:
        return (
            f"The Prefect server at {url} refused to be used ({error.response.status_code}): look at "
            "PREFECT_API_AUTH_STRING or, of Prefect Cloud, PREFECT_API_KEY."
        )
    # For this Prefect has no exception of its own.
    if isinstance(error, RuntimeError) and str(error).startswith(UNREACHED):
        is_whole = not url or "/api" in urlsplit(url).path
        return f"{error} - {HINT if is_whole else ADDRESS_HINT}"
    return None
