"""What the automations of the repository are meant for."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

import deployments
from tasks.errors import (
    FanOutError,
    FilesFailedError,
    IdleNodesError,
    InputError,
    MissingSettingsError,
    SettingsError,
)

AUTOMATIONS = Path(deployments.__file__).with_name("automations.yaml")


def find_kinds(kind: type[FanOutError]) -> list[type[FanOutError]]:
    return [kind, *(below for one in kind.__subclasses__() for below in find_kinds(one))]


@pytest.mark.parametrize("message", ["", "Process exited with status code: -9.", "Cancelled by its parent"])
def test_runs_that_may_have_left_something_are_cleaned_up_behind(message):
    """All but those that made nothing, or ended by cleaning up, whose clean-ups would be dust."""
    (entry,) = [
        one
        for one in yaml.safe_load(AUTOMATIONS.read_text())["automations"]
        if one["name"] == "fan-out: clean up"
    ]
    # As the server does it: a glob, turned round by what stands in front.
    pattern = entry["trigger"]["match"]["prefect.state-message"].removeprefix("!")
    assert not fnmatchcase(message, pattern)
    named = {
        kind
        for kind in find_kinds(FanOutError)
        if fnmatchcase(f"Flow run encountered an exception: {kind.__name__}: why", pattern)
    }
    assert named == {InputError, IdleNodesError, SettingsError, MissingSettingsError, FilesFailedError}
