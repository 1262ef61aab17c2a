"""Times as services write them: ISO 8601, of which Python 3.10 knows neither the `Z` nor seven digits."""

from datetime import datetime, timezone


def read_time(text: str) -> datetime:
    """The moment; in UTC if there is no offset. What is less than a microsecond is left out.

    Raises ValueError.
    """
    if not text.endswith("Z"):
        time = datetime.fromisoformat(text)
        return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    second, _, digits = text[:-1].partition(".")
    return datetime.fromisoformat(f"{second}.{digits[:6] or '0':<06}+00:00")


def find_time(text: str | None) -> datetime | None:
    """The same; None where there is none that can be read."""
    try:
        return read_time(text or "")
    except ValueError:
        return None
