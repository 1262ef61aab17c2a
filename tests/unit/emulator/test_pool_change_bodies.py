"""Bodies that change a pool: resize, removal of nodes, replaced properties, auto scale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from azure.batch import models

from batch_emulator.api.bodies import Body, parse_body
from batch_emulator.api.bodies.pools import (
    AutoScaleEnable,
    AutoScaleEvaluate,
    NodeRemove,
    PoolPatch,
    PoolReplace,
    PoolResize,
)
from tests.unit.emulator.official_client import sent_by
from tests.unit.emulator.reading import IDENTITY, kept, refused


def test_a_resize_needs_a_target() -> None:
    """A resize without targets is refused in the service's words, whether the pool exists or not."""
    assert refused(PoolResize, {}) == (
        "MissingRequiredProperty",
        {"PropertyName": "targetDedicatedNodes and/or targetLowPriorityNodes"},
    )


def test_the_official_clients_resize_and_removal() -> None:
    """Targets, timeout and what becomes of tasks come through; what is left out is the service's default."""
    options = models.BatchPoolResizeOptions(target_dedicated_nodes=2, resize_timeout=timedelta(minutes=30))
    sent = sent_by(lambda client: client.begin_resize_pool("p", options))
    assert parse_body(PoolResize, sent.body).to_wire() == {
        "targetDedicatedNodes": 2,
        "resizeTimeout": "PT30M",
        "nodeDeallocationOption": "requeue",
    }
    removal = models.BatchNodeRemoveOptions(node_ids=["n"], node_deallocation_option="taskcompletion")
    sent = sent_by(lambda client: client.begin_remove_nodes("p", removal))
    assert parse_body(NodeRemove, sent.body).to_wire()["nodeDeallocationOption"] == "taskcompletion"


@pytest.mark.parametrize("nodes", [[], [f"n{number}" for number in range(101)]])
def test_a_removal_names_1_to_100_nodes(nodes: list[str]) -> None:
    """No node, or more than 100, is refused."""
    assert refused(NodeRemove, {"nodeList": nodes})[0] == "InvalidPropertyValue"


def test_replacing_properties_drops_empty_lists() -> None:
    """What is replaced by an empty list is gone from the pool; the lists themselves must be there."""
    options = models.BatchPoolReplaceOptions(application_package_references=[], metadata=[])
    sent = sent_by(lambda client: client.replace_pool_properties("p", options))
    assert parse_body(PoolReplace, sent.body).to_wire() == {"targetNodeCommunicationMode": "default"}
    assert refused(PoolReplace, {"applicationPackageReferences": []})[1] == {"PropertyName": "metadata"}


@pytest.mark.parametrize(
    ("model", "body", "code"),
    [
        (AutoScaleEvaluate, {}, "MissingRequiredProperty"),
        (AutoScaleEvaluate, {"autoScaleFormula": "x" * 8193}, "AutoScalingFormulaTooLong"),
        (AutoScaleEnable, {"autoScaleFormula": "x" * 8193}, "AutoScalingFormulaTooLong"),
        (AutoScaleEnable, {"autoScaleEvaluationInterval": "PT4M"}, "InvalidPropertyValue"),
        (AutoScaleEnable, {"autoScaleEvaluationInterval": "P8D"}, "InvalidPropertyValue"),
    ],
)
def test_formulas_have_limits(model: type[Body], body: Any, code: str) -> None:
    """A formula has at most 8192 characters and is evaluated every 5 minutes to 168 hours."""
    assert refused(model, body)[0] == code


def test_enabling_auto_scale_may_change_either_part() -> None:
    """Formula and interval may each be left as the pool has them."""
    assert kept(AutoScaleEnable, {}) == {}
    assert kept(AutoScaleEnable, {"autoScaleEvaluationInterval": "PT6M"}) == {
        "autoScaleEvaluationInterval": "PT6M"
    }


def test_a_patch_of_nothing_changes_nothing() -> None:
    """Patching a pool fills nothing in that was not sent; what is sent is whole."""
    assert kept(PoolPatch, {}) == {}
    options = models.BatchPoolUpdateOptions(start_task=models.BatchStartTask(command_line="x"))
    assert parse_body(PoolPatch, sent_by(lambda client: client.update_pool("p", options)).body).to_wire() == {
        "startTask": {
            "commandLine": "x",
            "userIdentity": IDENTITY,
            "maxTaskRetryCount": 0,
            "waitForSuccess": True,
        }
    }
