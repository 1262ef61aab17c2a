"""The single values in request bodies: read leniently, kept as the service writes them back."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticKnownError

from batch_emulator import ticks
from batch_emulator.api.refusals import check_supported
from batch_emulator.api.times import parse_time
from batch_emulator.durations import UNLIMITED, normalise_duration, parse_duration_ticks

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def reject_boolean(value: Any) -> Any:
    """JSON's true and false are numbers to Python; the text of a number is one to the service."""
    if isinstance(value, bool):
        raise PydanticKnownError("int_type")
    return value


def read_boolean(value: Any) -> Any:
    """JSON's true and false, or the same as text; pydantic alone takes `yes` and 1 as well."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise PydanticKnownError("bool_type")
    return value


def integer(least: int = INT32_MIN, greatest: int = INT32_MAX) -> Any:
    """A whole number, also as text, as the Azure CLI sends it."""
    return Annotated[int, BeforeValidator(reject_boolean), Field(ge=least, le=greatest)]


def text(greatest: int) -> Any:
    """Text of 1 to `greatest` characters."""
    return Annotated[str, StringConstraints(min_length=1, max_length=greatest)]


def choice(*values: str) -> Any:
    """One of `values` in any case, kept in the case given here: the one that the service answers in."""
    canonical = {value.lower(): value for value in values}

    def choose(value: str) -> str:
        chosen = canonical.get(value.lower())
        if chosen is None:
            raise ValueError(f"The value must be one of {', '.join(values)}")
        return chosen

    return Annotated[str, AfterValidator(choose)]


def duration(least: str | None = None, greatest: str | None = None) -> Any:
    """An ISO 8601 duration within bounds, normalised."""
    low = parse_duration_ticks(least) if least else 0
    high = parse_duration_ticks(greatest) if greatest else None

    @functools.lru_cache(maxsize=256)
    def check(value: str) -> str:
        size = parse_duration_ticks(value)
        if size < low:
            raise ValueError(f"The value must not be less than {least or 'zero'}")
        if high is not None and size > high:
            raise ValueError(f"The value must not be greater than {greatest}")
        return normalise_duration(value)

    return Annotated[str, AfterValidator(check)]


def read_limit(value: Any) -> Any:
    """The service takes -1 for "no limit", and answers with the longest duration that it has."""
    return UNLIMITED if value == "-1" else value


def refusable(name: str) -> BeforeValidator:
    """Refuses the property where `refusals` has it, and the context of the validation doesn't allow it."""

    def check(value: Any, info: ValidationInfo) -> Any:
        return check_supported(name, value, info.context or frozenset())

    return BeforeValidator(check)


def normalise_time(value: str) -> str:
    return ticks.format_ticks(parse_time(value))


def lower(value: str) -> str:
    return value.lower()


def check_file_mode(value: str) -> str:
    if not re.fullmatch(r"[0-7]{3,4}", value):
        raise ValueError("The file mode must be octal, such as 0770")
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
"""Letters, digits, hyphens and underscores, at most 64 of them."""

DisplayName = Annotated[str, StringConstraints(max_length=1024)]
CommandLine = Annotated[str, StringConstraints(min_length=1)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Bool = Annotated[bool, BeforeValidator(read_boolean)]
Int = integer()
Count = integer(0)
Retries = integer(-1)
"""-1 is without limit."""

Duration = duration()
Limit = Annotated[Duration, BeforeValidator(read_limit)]
"""A duration; -1 is without limit."""

Time = Annotated[str, AfterValidator(normalise_time)]
Lower = Annotated[str, AfterValidator(lower)]
FileMode = Annotated[str, AfterValidator(check_file_mode)]

ElevationLevel = choice("nonadmin", "admin")
DeallocationOption = choice("requeue", "terminate", "taskcompletion", "retaineddata")
