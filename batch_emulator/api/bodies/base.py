"""From the bytes of a request to a checked model, and from what is wrong with them to the service's words.

Syntax (no JSON, unknown properties, wrong types) is 400 InvalidRequestBody, worded as by the OData library
that the service is built on; then come missing properties, then values.
"""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from batch_emulator.errors import BatchError, invalid_property


class Body(BaseModel):
    """An object in a request body. Attributes are the wire's names in Python's spelling."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    def to_wire(self) -> dict[str, Any]:
        """The JSON that the service keeps and answers with: defaults in, nulls and secrets out."""
        return self.__pydantic_serializer__.to_python(self, by_alias=True, exclude_none=True)


B = TypeVar("B", bound=Body)

_NODE_KINDS = {dict: "StartObject", list: "StartArray"}

_EXPECTED_NODES = {"model_type": "StartObject", "dict_type": "StartObject", "list_type": "StartArray"}

_EDM_TYPES = {
    "string_type": "Edm.String",
    "int_type": "Edm.Int32",
    "int_parsing": "Edm.Int32",
    "int_parsing_size": "Edm.Int32",
    "int_from_float": "Edm.Int32",
    "bool_type": "Edm.Boolean",
}

_REASONS = {
    "string_too_short": "The value must not be empty",
    "string_too_long": "The value must not be longer than {max_length} characters",
    "string_pattern_mismatch": "The value may contain only letters, digits, hyphens and underscores",
    "greater_than_equal": "The value must not be less than {ge}",
    "less_than_equal": "The value must not be greater than {le}",
    "too_short": "The list must have at least {min_length} items",
    "too_long": "The list must not have more than {max_length} items",
    "value_error": "{error}",
}


def parse_body(model: type[B], raw: bytes) -> B:
    """The body of a request; no body at all is an empty object, as where the body is optional."""
    return parse_object(model, parse_json(raw))


def parse_json(raw: bytes) -> Any:
    """400 InvalidRequestBody unless `raw` is JSON (or nothing)."""
    if not raw.strip():
        return {}
    try:
        return orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise invalid_body(str(error)) from None


def parse_object(model: type[B], value: Any, allowed: frozenset[str] = frozenset()) -> B:
    """A model of one JSON object; BatchError naming the first thing that is wrong with it. `allowed` are
    properties that are taken though they are among those refused."""
    try:
        return model.__pydantic_validator__.validate_python(value, context=allowed)
    except ValidationError as error:
        plain = _without_annotations(value)
        if plain is not None:
            return parse_object(model, plain, allowed)
        raise _describe(error) from None


def _without_annotations(value: Any) -> dict[str, Any] | None:
    """`value` without `odata.*`, which clients send back with what they read; None where it has none."""
    if not isinstance(value, dict) or not any(name.startswith("odata.") for name in value):
        return None
    return {name: part for name, part in value.items() if not name.startswith("odata.")}


def _describe(error: ValidationError) -> BatchError:
    """The service reads first, then looks for what is missing, then at values; so does this."""
    return min((_describe_one(detail) for detail in error.errors(include_url=False)), key=rank)


def rank(error: BatchError) -> int:
    order = ("InvalidRequestBody", "MissingRequiredProperty")
    return order.index(error.code) if error.code in order else len(order)


def _describe_one(detail: ErrorDetails) -> BatchError:
    kind, value = detail["type"], detail.get("input")
    name = _property_name(detail["loc"])
    if kind == "missing" or (value is None and detail["loc"] and kind in {*_EDM_TYPES, *_EXPECTED_NODES}):
        return missing_property(name)
    if kind == "extra_forbidden":
        return unknown_property(name)
    if kind in _EDM_TYPES or kind in _EXPECTED_NODES:
        return invalid_body(_describe_mismatch(kind, value))
    return invalid_property(name, _shorten(value), _describe_value(detail))


def _describe_mismatch(kind: str, value: Any) -> str:
    found = _NODE_KINDS.get(type(value), "PrimitiveValue")
    expected = _EXPECTED_NODES.get(kind, "PrimitiveValue")
    if found != expected:
        return (
            f"An unexpected '{found}' node was found when reading from the JSON reader. "
            f"A '{expected}' node was expected."
        )
    return (
        f"Cannot convert a primitive value to the expected type '{_EDM_TYPES[kind]}'. "
        "See the inner exception for more details."
    )


def _describe_value(detail: ErrorDetails) -> str:
    reason = _REASONS.get(detail["type"])
    return reason.format(**detail.get("ctx", {})) if reason else detail["msg"]


def _property_name(location: tuple[int | str, ...]) -> str:
    """The innermost property on the way to the error; items of a list have no name of their own."""
    return next((part for part in reversed(location) if isinstance(part, str)), "value")


def _shorten(value: Any) -> str:
    """Of a list how long it is: clients are told the limit beside it."""
    shown = str(len(value)) if isinstance(value, list) else str(value)
    return shown if len(shown) <= 200 else shown[:200] + "..."


def invalid_body(reason: str) -> BatchError:
    """400 InvalidRequestBody."""
    return BatchError("InvalidRequestBody", ("Reason", reason))


def unknown_property(name: str) -> BatchError:
    """400 InvalidRequestBody for a property that the body may not have."""
    return invalid_body(
        f"The property '{name}' does not exist. "
        "Make sure to only use property names that are defined by the type."
    )


def missing_property(name: str) -> BatchError:
    """400 MissingRequiredProperty."""
    return BatchError("MissingRequiredProperty", ("PropertyName", name))
