"""What is said of a value that a form refuses."""

import json
import re

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.spec.named_patterns import SIGNATURE, WORDS, describe_refusal
from tasks.spec.run_spec import RunKey, RunSpec


def test_every_pattern_of_a_form_has_words():
    """Nobody is shown a regular expression alone: what may not be has a title."""
    schema = json.dumps(RunSpec.model_json_schema())
    shown = {json.loads(f'"{pattern}"') for pattern in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)}
    # Forms take nothing for what may be left out.
    assert {pattern.removesuffix("|^$") for pattern in shown} == WORDS.keys() | {SIGNATURE}


@pytest.mark.parametrize(("given", "words"), [("a b", "It takes small letters and digits"), ("k" * 51, "50")])
def test_a_refusal_is_in_words(given, words):
    """What is to be given, or how much; what pydantic says where that is plain."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(RunKey).validate_python(given)
    (said,) = map(describe_refusal, caught.value.errors())
    assert words in said
    assert "pattern" not in said
    with pytest.raises(ValidationError) as caught:
        RunSpec(inputs="a", command="")
    assert [describe_refusal(one) for one in caught.value.errors()] == ["It must not be empty"]
