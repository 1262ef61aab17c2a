"""Texts that have a form: forms check them by the pattern, and people are told the words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
BATCH_ID = r"^[A-Za-z0-9_-]{1,64}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
SUBNET = r"(?i)^/subscriptions/[^/]+/.+/virtualNetworks/[^/]+/subnets/[^/]+$"
IDENTITY = r"(?i)^/subscriptions/[^/]+/.+/userAssignedIdentities/[^/]+$"
REGION = r"^[A-Za-z0-9]+$"

# In what may be no URL with a signature.
SIGNATURE = r"://.*[?&][Ss][Ii][Gg]="

WORDS = {
    SLUG: "small letters and digits, with single dashes between them, such as night-7",
    BATCH_ID: "letters, digits, - and _, 64 of them at most",
    VARIABLE: "letters, digits and _, with no digit in front",
    SUBNET: "the subnet's id as the portal shows it, /subscriptions/.../virtualNetworks/.../subnets/...",
    IDENTITY: "the identity's id as the portal shows it, /subscriptions/.../userAssignedIdentities/...",
    REGION: "letters and digits, such as westeurope",
}

WITH_FIELDS = "It has fields of its own, which are given one by one: see --help"

# What pydantic calls types at the end of a location, besides what can be no field's name.
TYPES = {"str", "int", "float", "bool", "none", "url"}


def describe_refusal(detail: Mapping[str, Any]) -> str:
    """What is wrong with one value, in words; `detail` is an error of a pydantic.ValidationError."""
    words = WORDS.get(detail.get("ctx", {}).get("pattern", ""))
    if detail["type"] == "string_pattern_mismatch" and words:
        return f"It takes {words}"
    if detail["type"] == "string_too_short" and not detail["input"]:
        return "It must not be empty"
    if detail["type"] == "model_type":
        return WITH_FIELDS
    return detail["msg"].removeprefix("Value error, ")


def name_fields(location: Sequence[str | int]) -> Iterator[str]:
    """The fields on the way to a refused value, as options are spelled; of a value that may be of several
    types pydantic's location ends with how it calls the type."""
    for part in map(str, location):
        if not part.isidentifier() or part in TYPES:
            return
        yield part.replace("_", "-")
