"""What the automations of the repository are meant for."""

import builtins
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from azure.core.exceptions import AzureError
from prefect.exceptions import PrefectException

import deployments
from tasks.errors import (
    FanOutError,
    IdleNodesError,
    InputError,
    MissingSettingsError,
    SettingsError,
)

AUTOMATIONS = Path(deployments.__file__).with_name("automations.yaml")


def find_kinds(kind: type[BaseException]) -> list[type[BaseException]]:
    return [kind, *(below for one in kind.__subclasses__() for below in find_kinds(one))]


@pytest.mark.parametrize("message", ["", "Process exited with status code: -9.", "Cancelled by its parent"])
def test_runs_that_may_have_left_something_are_cleaned_up_behind(message):
    """All but those that made nothing, whose clean-ups would be dust: not those that some error ended which
    is not ours, nor those whose files failed, as their own clean-up may have failed too."""
    (entry,) = [
        one
        for one in yaml.safe_load(AUTOMATIONS.read_text())["automations"]
        if one["name"] == "fan-out: clean up"
    ]
    # As the server does it: a glob, turned round by what stands in front.
    pattern = entry["trigger"]["match"]["prefect.state-message"].removeprefix("!")
    assert not fnmatchcase(message, pattern)
    foreign = {
        kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    others = {*foreign, *find_kinds(PrefectException), *find_kinds(AzureError)}
    named = {
        kind
        for kind in {*find_kinds(FanOutError), *others}
        if fnmatchcase(f"Flow run encountered an exception: {kind.__name__}: why", pattern)
    }
    assert named == {InputError, IdleNodesError, SettingsError, MissingSettingsError}
