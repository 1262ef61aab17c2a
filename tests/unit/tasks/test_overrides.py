"""Raw JSON in the bodies of pools and tasks."""

import pytest
from pydantic import ValidationError

from tasks.spec.overrides import merge_overrides
from tasks.spec.specs import PoolSpec
from tasks.spec.task_specs import TaskSpec


def test_objects_are_merged_and_all_else_is_replaced():
    """A value takes the place of the old one, whatever it was; what is beside it stays."""
    body = {"a": {"b": 1, "c": [1, 2]}, "d": "text"}
    assert merge_overrides(body, {"a": {"c": [3], "e": None}, "f": {"g": 1}}) == {
        "a": {"b": 1, "c": [3], "e": None},
        "d": "text",
        "f": {"g": 1},
    }
    assert body == {"a": {"b": 1, "c": [1, 2]}, "d": "text"}


@pytest.mark.parametrize(
    ("spec", "overrides", "message"),
    [
        (PoolSpec, {"id": "other"}, "id of a pool can't be overridden"),
        (PoolSpec, {"Metadata": []}, "metadata of a pool can't be overridden"),
        (PoolSpec, {"startTask": None}, "startTask.commandLine of a pool"),
        (PoolSpec, {"startTask": {"commandLine": "x"}}, "startTask.commandLine of a pool"),
        (PoolSpec, {"autoScaleFormula": "$TargetDedicatedNodes = 9;"}, "autoScaleFormula of a pool"),
        (PoolSpec, {"virtualMachineConfiguration": {"imageReference": {"sku": "x"}}}, "imageReference"),
        (TaskSpec, {"outputFiles": []}, "outputFiles of a task can't be overridden"),
        (TaskSpec, {"environmentSettings": [{"name": "A"}]}, "environmentSettings of a task"),
    ],
)
def test_what_a_run_relies_on_is_not_overridden(spec, overrides, message):
    """The error names the property, also where what holds it would be replaced."""
    with pytest.raises(ValidationError, match=message):
        spec(overrides=overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {"mountConfiguration": [{"azureFileShareConfiguration": {"accountKey": "k"}}]},
        {"userAccounts": [{"name": "me", "password": "p"}]},
        {"applicationPackageReferences": [{"applicationId": "https://acc/x?sv=1&SIG=abc"}]},
    ],
)
def test_overrides_have_no_secrets(overrides):
    """Keys, passwords and signatures are refused, as Prefect records parameters."""
    with pytest.raises(ValidationError, match="may be no secret"):
        PoolSpec(overrides=overrides)


@pytest.mark.parametrize("value", [object(), float("nan"), 1 << 64, "\udcff"])
def test_overrides_are_json(value):
    """What could not be sent is refused where it is given."""
    with pytest.raises(ValidationError, match="it must be JSON"):
        TaskSpec(overrides={"requiredSlots": value})


def test_what_the_specification_does_not_model_may_be_said():
    """Beside what a run relies on there is room."""
    spec = PoolSpec(overrides={"startTask": {"maxTaskRetryCount": 3}, "displayName": "words"})
    assert spec.overrides["startTask"] == {"maxTaskRetryCount": 3}
