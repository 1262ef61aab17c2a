"""Prefect's logging, set up from the settings that it names.

Prefect writes out all of its settings for that, each many times over: a tenth of a second, of which its
template takes three levels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from prefect.logging import configuration
from prefect.settings import get_current_settings

LEVELS = {
    "PREFECT_LOGGING_LEVEL": "logging.level",
    "PREFECT_SERVER_LOGGING_LEVEL": "server.logging_level",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "internal.logging_level",
}


@contextmanager
def only_named_settings_read() -> Iterator[None]:
    """Have Prefect's logging set up so in this block, which is the one that first imports Prefect's flows."""
    asked = configuration.__dict__
    asked["get_current_settings"] = _Settings
    try:
        yield
    finally:
        asked["get_current_settings"] = get_current_settings


class _Settings:
    """What the setup asks for the values of its template."""

    def to_environment_variables(self, **options: Any) -> dict[str, str]:
        return _Values(options)


class _Values(dict[str, str]):
    """Values of settings by their variables; for a template of somebody's own there are all of them."""

    def __init__(self, options: dict[str, Any]):
        super().__init__()
        self._options = options

    def __missing__(self, variable: str) -> str:
        settings = get_current_settings()
        if variable in LEVELS:
            self[variable] = str(attrgetter(LEVELS[variable])(settings))
        else:
            self.update(settings.to_environment_variables(**self._options))
            if variable not in self:
                raise KeyError(variable)
        return self[variable]
