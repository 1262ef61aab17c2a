"""How parameters look in Prefect's forms, which know no more of them than their JSON schema.

Both of Prefect's UIs show all fields of a group at once, and a row of buttons above a field that may be one
thing or another. So a group, which most runs leave as it is, becomes a choice between "as usual" and its
fields; a field that may be left empty begins as an empty field; and buttons and titles are words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator, GetJsonSchemaHandler
from pydantic.fields import FieldInfo

from tasks.spec.named_patterns import SIGNATURE

WORDS = {
    "vm": "VM",
    "sku": "SKU",
    "id": "ID",
    "url": "URL",
    "http": "HTTP",
    "dir": "folder",
    "num": "number of",
}
KINDS = {"string": "text", "integer": "number", "number": "number", "array": "list", "null": "none"}
AS_USUAL = {"type": "null", "title": "as usual"}
# The other choice: every group has this title, as the form names a group by its field.
CHOOSE = "choose"


class Unsigned:
    """Says in the schema of a text, or of one or many, that it may be no URL with a signature: Prefect
    records parameters before a flow could refuse them. Its server shows the title."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        for choice in schema.get("anyOf", [schema]):
            choice.get("items", choice)["not"] = {
                "pattern": SIGNATURE,
                "title": "a URL with a signature, which would be recorded: leave out all from the ? on",
            }
        return schema


def title_field(name: str, _info: object = None) -> str:
    """A field's name as the form has it: "VM size", not "Vm Size"."""
    title = " ".join(WORDS.get(word, word) for word in name.split("_"))
    return title[0].upper() + title[1:]


def is_group(field: FieldInfo) -> bool:
    """Whether it has fields of its own, all with a default."""
    return (
        isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
        and not field.is_required()
    )


def take_empty_as_default(given: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """What a form sends, without the fields that were left empty: they mean their defaults."""
    return {
        name: value
        for name, value in given.items()
        if name not in fields or not _is_empty(value, fields[name])
    }


def _is_empty(value: object, field: FieldInfo) -> bool:
    default = field.get_default(call_default_factory=True)
    return value == "" if default is None else value is None and not field.is_required()


def fold_groups(properties: dict[str, Any], fields: Mapping[str, FieldInfo]) -> None:
    """Change the schema of a group's fields: groups in it are folded, what may be empty is a plain field."""
    for name, field in fields.items():
        shown = properties[name]
        if is_group(field):
            properties[name] = {"title": shown["title"], "description": shown["description"], **_fold(shown)}
        elif shown.get("default", shown) is None:
            # With no default, and not required, Prefect's server lets null pass as well.
            del shown["default"]
            if len(kept := _without_null(shown)) == 1:
                del shown["anyOf"]
                shown.update(_allow_empty(kept[0]))


def _fold(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [AS_USUAL, {"$ref": group["$ref"]}], "default": None}


def _without_null(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [choice for choice in shown.get("anyOf", []) if choice.get("type") != "null"]


def _allow_empty(text: dict[str, Any]) -> dict[str, Any]:
    """The schema of a text that may be empty besides."""
    allowed = {key: value for key, value in text.items() if key != "minLength"}
    return {**allowed, "pattern": f"{text['pattern']}|^$"} if "pattern" in text else allowed


@dataclass(frozen=True)
class _Shown:
    """Changes the schema of a flow's parameter that it annotates."""

    is_group: bool
    may_be_empty: bool

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        if self.is_group:
            return {"anyOf": [AS_USUAL, schema]}
        for at, choice in enumerate(schema.get("anyOf", [])):
            choice = _allow_empty(choice) if self.may_be_empty else choice
            schema["anyOf"][at] = {"title": KINDS.get(choice.get("type", ""), CHOOSE), **choice}
        return schema


def show_parameter(name: str, field: FieldInfo) -> tuple[list[Any], dict[str, Any]]:
    """What annotates a flow's parameter so that forms show it well, and more words for its schema.

    Unlike a field of a group, it has a default in the schema whatever one does; Prefect puts it there.
    """
    default, title = field.get_default(call_default_factory=True), {"title": field.title or title_field(name)}
    if is_group(field):
        emptied = BeforeValidator(lambda value: default if value is None else value)
        return [emptied, _Shown(True, False)], {**title, "default": None}
    if not field.is_required() and default is None and _takes_text(field):
        emptied = BeforeValidator(lambda value: None if value == "" else value)
        return [emptied, _Shown(False, True)], {**title, "default": ""}
    return [_Shown(False, False)], title


def _takes_text(field: FieldInfo) -> bool:
    return any(kind is str or str in get_args(kind) for kind in get_args(field.annotation))
