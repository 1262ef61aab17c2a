"""The single values in request bodies: read leniently, kept as the service writes them back."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from batch_emulator import ticks
from batch_emulator.api.refusals import check_supported
from batch_emulator.api.times import parse_time
from batch_emulator.durations import UNLIMITED, normalise_duration, parse_duration_ticks

T = TypeVar("T")

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def _reject_boolean(value: Any) -> Any:
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


def within(least: int = INT32_MIN, greatest: int = INT32_MAX) -> Any:
    """The bounds of a `Number`."""
    return Field(ge=least, le=greatest)


def up_to(characters: int) -> StringConstraints:
    """The length of a text that must not be empty."""
    return StringConstraints(min_length=1, max_length=characters)


class _AnyCase:
    """Takes the values of a `Literal` in any case, and keeps them in the case in which it names them."""

    def __get_pydantic_core_schema__(self, source: Any, _: GetCoreSchemaHandler) -> CoreSchema:
        values: tuple[str, ...] = get_args(source)
        canonical = {value.lower(): value for value in values}

        def choose(value: str) -> str:
            chosen = canonical.get(value.lower())
            if chosen is None:
                raise ValueError(f"The value must be one of {', '.join(values)}")
            return chosen

        return core_schema.no_info_after_validator_function(choose, core_schema.str_schema())


def duration(least: str | None = None, greatest: str | None = None) -> AfterValidator:
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

    return AfterValidator(check)


def _check_duration(value: str) -> str:
    parse_duration_ticks(value)
    return value


def _read_limit(value: Any) -> Any:
    """The service takes -1 for "no limit", and answers with the longest duration that it has."""
    return UNLIMITED if value == "-1" else value


def refusable(name: str) -> BeforeValidator:
    """Refuses the property where `refusals` has it, and the context of the validation doesn't allow it."""

    def check(value: Any, info: ValidationInfo) -> Any:
        return check_supported(name, value, info.context or frozenset())

    return BeforeValidator(check)


def _normalise_time(value: str) -> str:
    return ticks.format_ticks(parse_time(value))


def lower(value: str) -> str:
    return value.lower()


def _check_file_mode(value: str) -> str:
    if not re.fullmatch(r"[0-7]{3,4}", value):
        raise ValueError("The file mode must be octal, such as 0770")
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
"""Letters, digits, hyphens and underscores, at most 64 of them."""

DisplayName = Annotated[str, StringConstraints(max_length=1024)]
CommandLine = Annotated[str, StringConstraints(min_length=1)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]
Choice = Annotated[T, _AnyCase()]
"""`Choice[Literal["task", "pool"]]`: one of these in any case, kept, and answered, in the case given here."""

Number = Annotated[int, BeforeValidator(_reject_boolean)]
"""A whole number, also as text, as the Azure CLI sends it. Give it bounds with `within`."""

Bool = Annotated[bool, BeforeValidator(read_boolean)]
Int = Annotated[Number, within()]
Count = Annotated[Number, within(0)]
Retries = Annotated[Number, within(-1)]
"""-1 is without limit."""

Duration = Annotated[str, duration()]

KeptDuration = Annotated[str, AfterValidator(_check_duration)]
"""A duration that the service answers as it was written, as recorded."""

Limit = Annotated[Duration, BeforeValidator(_read_limit)]
"""A duration; -1 is without limit."""

Time = Annotated[str, AfterValidator(_normalise_time)]
Lower = Annotated[str, AfterValidator(lower)]
FileMode = Annotated[str, AfterValidator(_check_file_mode)]

ElevationLevel = Choice[Literal["nonadmin", "admin"]]
DeallocationOption = Choice[Literal["requeue", "terminate", "taskcompletion", "retaineddata"]]
