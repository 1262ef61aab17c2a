"""What Prefect's form and its server know of the flows: no more than the schema of the parameters."""

import inspect
import json
from functools import cache

import pytest
from jsonschema.exceptions import best_match
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid_schema, validate

from flows.fan_out import fan_out
from flows.top_n_words import top_n_words
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec

REFUSED = [
    ({"num_words": 0}, "num_words"),
    ({"num_words": 3.5}, "num_words"),
    ({"delay_seconds": -1}, "delay_seconds"),
    ({"inputs": 3}, "inputs"),
    ({"timeout_seconds": 0}, "timeout_seconds"),
    ({"run_key": "Not a key"}, "run_key"),
    ({"accounts": "no/block"}, "accounts"),
    ({"cleanup": {"pool": "sometimes"}}, "cleanup.pool"),
    ({"pool": {"pool_id": "no id"}}, "pool.pool_id"),
    ({"pool": {"idle_minutes": 1}}, "pool.idle_minutes"),
    ({"pool": {"dedicated_nodes": 0}}, "pool.dedicated_nodes"),
    ({"pool": {"dedicated_nodes": 0, "low_priority_nodes": 0}}, "pool.dedicated_nodes"),
    ({"pool": {"nodes": 4}}, "nodes"),
]
ACCEPTED = [
    {},
    {"pool": {}},
    {"pool": {"low_priority_nodes": 0}},
    {"pool": {"dedicated_nodes": 0, "low_priority_nodes": 2}},
    {"inputs": ["data", "more/*.txt"], "run_key": "a-key", "accounts": None},
    {"run_key": "", "accounts": "", "stream_output": ""},
    {"pool": None, "cleanup": None},
    {
        "pool": {
            "dedicated_nodes": None,
            "pool_id": "",
            "image": None,
            "containers": None,
            "start_command": None,
        }
    },
]


@cache
def schema_of(flow) -> dict:
    schema = parameter_schema(flow).model_dump()
    # Once: it takes 50 times as long as to check parameters.
    is_valid_schema(schema)
    return schema


def refusal(flow, parameters: dict) -> str:
    """What the server says before it makes a flow run; "" if it makes one."""
    worst = best_match(validate(parameters, schema_of(flow)))
    return "" if worst is None else f"{worst.json_path.removeprefix('$.')!r}: {worst.message}"


@pytest.mark.parametrize(("parameters", "field"), REFUSED)
def test_the_server_can_refuse_what_the_flow_would(parameters, field):
    """The schema alone is enough to refuse a value, and the message has the name of its field."""
    assert f"'{field}'" in refusal(top_n_words, parameters)
    with pytest.raises(ParameterTypeError, match="received invalid parameters"):
        top_n_words.validate_parameters({**defaults(top_n_words), **parameters})


@pytest.mark.parametrize("parameters", ACCEPTED)
def test_the_server_lets_pass_what_the_flow_takes(parameters):
    """What the flow validates is no error by the schema either."""
    assert refusal(top_n_words, parameters) == ""
    top_n_words.validate_parameters({**defaults(top_n_words), **parameters})


def defaults(flow) -> dict:
    """The values that the form begins with, which are those of the schema."""
    properties = schema_of(flow)["properties"]
    return json.loads(
        json.dumps({name: one["default"] for name, one in properties.items() if "default" in one})
    )


@pytest.mark.parametrize("flow", [top_n_words, fan_out], ids=lambda flow: flow.name)
def test_the_forms_defaults_are_the_flows(flow):
    """What the form begins with passes the schema, and comes to the flow as its own defaults."""
    given = {**defaults(flow), **dict.fromkeys(schema_of(flow)["required"], "given")}
    assert refusal(flow, given) == ""
    validated = flow.validate_parameters(given)
    assert validated["pool"] == PoolSpec()
    assert {name: validated[name] for name in defaults(flow)} == defaults_of_signature(flow)


def defaults_of_signature(flow) -> dict:
    parameters = inspect.signature(flow).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def test_what_is_left_empty_is_as_if_it_were_not_given():
    """Empty fields and folded groups, as forms send them, are the defaults."""
    left = {"application": "", "run_key": "", "accounts": None, "pool": {"image": None, "pool_id": ""}}
    validated = fan_out.validate_parameters({**defaults(fan_out), "inputs": "x", "command": "y", **left})
    assert [validated[name] for name in left] == [None, None, None, PoolSpec()]


@pytest.mark.parametrize(("pool", "nodes"), [({}, 4), ({"dedicated_nodes": 2}, 2), ({"vm_size": "X"}, 4)])
def test_the_nodes_of_a_run_are_those_of_its_pool(pool, nodes):
    """Unless the pool has a number of its own."""
    spec = RunSpec(inputs="x", command="y", nodes=4, pool=PoolSpec(**pool))
    assert spec.pool.dedicated_nodes == nodes
    assert RunSpec(inputs="x", command="y", **spec.options()) == spec


@pytest.mark.parametrize(
    "parameters",
    [
        {"inputs": "https://a.blob.core.windows.net/c/x?sv=1&sig=abc"},
        {"inputs": ["data", "az://c/x?Sig=abc"]},
        {"output_dir": "https://a.blob.core.windows.net/c?sig=abc"},
        {"task": {"files": [{"http_url": "https://a.blob.core.windows.net/c/x?sig=abc"}]}},
    ],
)
def test_the_server_records_no_signature(parameters):
    """Whoever starts a deployment: what the flow would refuse stands in the database by then."""
    given = {"inputs": "data?sig=1", "command": "cat {input}"}
    assert refusal(fan_out, given) == ""
    assert "a URL with a signature, which would be recorded" in refusal(fan_out, {**given, **parameters})
