"""Flows whose parameters are the fields of a spec."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated

import pytest
from prefect.utilities.callables import parameter_schema
from pydantic import Field, ValidationError

from flows.fan_out import fan_out
from flows.parameters import takes
from flows.top_n_words import top_n_words
from tasks.errors import InputError
from tasks.spec.run_spec import RunOptions, RunSpec
from tasks.spec.specs import Spec


class Base(Spec):
    last: int = Field(7, ge=1, description="Of every flow.")


class Given(Base):
    maybe: str | None = Field(None, description="Perhaps.")
    first: Annotated[str, Field(max_length=3)] = Field(description="Needed.")


@takes(Given)
def tell(given: Given) -> Given:
    """Tell what was given."""
    return given


@takes(Given)
def tell_one_by_one(given: Given) -> Iterator[str | int | None]:
    """Tell what was given, one by one."""
    yield from (given.first, given.maybe, given.last)


def test_fields_are_parameters():
    """What is needed comes first, then a class's own fields, then those that it inherits."""
    assert tell("a", last=2) == Given(first="a", last=2)
    assert tell("a", "b", 3) == Given(first="a", maybe="b", last=3)
    assert list(inspect.signature(tell).parameters) == ["first", "maybe", "last"]


def test_a_value_that_a_field_refuses_is_refused():
    """Bounds hold also where nobody has asked Prefect."""
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        tell("a", last=0)


def test_a_generator_stays_one():
    """Prefect runs generators another way, and asks the function."""
    assert inspect.isgeneratorfunction(tell_one_by_one)
    assert list(tell_one_by_one("a")) == ["a", None, 7]


def test_more_paths_than_prefect_records_are_refused_in_a_line():
    """Before Prefect is asked, which would answer with all of them; a list in a file is the remedy."""
    paths = [f"data/a folder of some length/{number:06}.csv" for number in range(13_000)]
    with pytest.raises(InputError, match=r"13,000 paths are more than Prefect records.*@FILE") as caught:
        fan_out(paths, None, "wc {input}")
    assert len(str(caught.value)) < 400
    assert inspect.signature(fan_out.fn).bind(paths[:8000], None, "wc").arguments["inputs"] == paths[:8000]


@pytest.mark.parametrize(("flow", "spec"), [(fan_out, RunSpec), (top_n_words, RunOptions)])
def test_forms_have_the_fields_with_their_words(flow, spec):
    """Who adds a field has a parameter in the form, with its description and its default."""
    properties = parameter_schema(flow).properties
    for name, field in spec.model_fields.items():
        assert properties[name]["description"] == field.description
        assert ("default" in properties[name]) is not field.is_required()
