"""Flows whose parameters are the fields of a spec."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from prefect import Flow, flow
from prefect.utilities.callables import parameter_schema
from pydantic import Field, SecretStr, ValidationError

from flows.fan_out import fan_out
from flows.parameters import shown_in_form, takes
from flows.top_n_words import TopNWordsSpec, top_n_words
from tasks.errors import InputError
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.specs import PoolSpec, Spec


class Group(Spec):
    size: int | None = Field(None, description="Of the group.")


class Base(Spec):
    shown_first: ClassVar[tuple[str, ...]] = ("last",)
    unseen: int = Field(0, description="Seldom.")
    last: int = Field(7, ge=1, description="Of every flow.")


class Given(Base):
    first: Annotated[str, Field(max_length=3)] = Field(description="Needed.")
    maybe: str | None = Field(None, description="Perhaps.")
    group: Group = Field(Group(), description="Of its own.")
    late: Annotated[str, Field(min_length=1)] = Field(description="Needed too.")


@takes(Given)
def tell(given: Given) -> Given:
    """Tell what was given."""
    return given


@takes(Given)
def tell_one_by_one(given: Given) -> Iterator[str | int | None]:
    """Tell what was given, one by one."""
    yield from (given.first, given.maybe, given.last)


def test_fields_are_parameters():
    """A class's own come first, then those that it inherits, in the order in which they are declared."""
    assert tell("a", late="z", last=2) == Given(first="a", late="z", last=2)
    assert tell("a", "b", Group(), "z", 1, 3) == Given(first="a", maybe="b", late="z", unseen=1, last=3)


def test_what_is_needed_may_not_be_left_out():
    """Also where Python has a default for it, as one stands before it."""
    with pytest.raises(ValidationError, match="late"):
        tell("a", "b")


def test_a_form_has_what_is_needed_first_and_groups_last():
    """In the form, in which a group begins folded, and what may be empty with nothing in it."""
    shown = parameter_schema(shown_in_form(Given)(flow(tell)))
    assert list(shown.properties) == ["first", "late", "maybe", "last", "unseen", "group"]
    assert shown.required == ["first", "late"]
    assert shown.properties["maybe"]["default"] == ""
    assert shown.properties["group"]["default"] is None
    assert "default" not in shown.definitions["Group"]["properties"]["size"]


def test_a_value_that_a_field_refuses_is_refused():
    """Bounds hold also where nobody has asked Prefect."""
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        tell("a", late="z", last=0)


def test_a_run_s_parameters_are_recorded_without_a_web_framework(monkeypatch):
    """They become the JSON that Prefect makes of them, which imports FastAPI for it; what is none is named by
    its type."""
    parameters = {
        "inputs": [Path("data"), "more/*.txt"],
        "pool": PoolSpec(dedicated_nodes=3),
        "secret": SecretStr("hidden"),
        "nothing": None,
        "thread": threading.Lock(),
    }
    expected = Flow.serialize_parameters(fan_out, parameters)
    monkeypatch.setitem(sys.modules, "fastapi.encoders", None)
    assert fan_out.serialize_parameters(parameters) == expected
    assert expected["secret"] != "hidden"
    assert expected["thread"] == "<lock>"


def test_a_generator_stays_one():
    """Prefect runs generators another way, and asks the function."""
    assert inspect.isgeneratorfunction(tell_one_by_one)
    assert list(tell_one_by_one("a", late="z")) == ["a", None, 7]


def test_more_paths_than_prefect_records_are_refused_in_a_line():
    """Before Prefect is asked, which would answer with all of them; a list in a file is the remedy."""
    paths = [f"data/a folder of some length/{number:06}.csv" for number in range(13_000)]
    with pytest.raises(InputError, match=r"13,000 paths are more than Prefect records.*@FILE") as caught:
        fan_out(paths, None, "wc {input}")
    assert len(str(caught.value)) < 400
    assert inspect.signature(fan_out.fn).bind(paths[:8000], None, "wc").arguments["inputs"] == paths[:8000]


@pytest.mark.parametrize(("shown", "spec"), [(fan_out, RunSpec), (top_n_words, RunOptions)])
def test_forms_have_the_fields_with_their_words(shown, spec):
    """Who adds a field has a parameter in the form, with its description and its default."""
    properties = parameter_schema(shown).properties
    for name, field in spec.model_fields.items():
        assert properties[name]["description"] == field.description
        assert ("default" in properties[name]) is not field.is_required()


@pytest.mark.parametrize("name", ["nonsense", "hex", "idna", "punycode", "undefined"])
def test_what_is_no_encoding_of_texts_is_refused(name):
    """Before there are nodes on which the script would refuse it."""
    assert TopNWordsSpec(encoding="Windows-1250").encoding == "cp1250"
    with pytest.raises(ValidationError, match="encoding"):
        TopNWordsSpec(encoding=name)
