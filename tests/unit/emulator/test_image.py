"""The container image of the local Batch service, and the workflows of its page, read without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from batch_emulator.settings import KEY_VARIABLE, Settings, check

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "batch_emulator" / "Dockerfile").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
WORKFLOWS = re.findall(
    r"```yaml\n(jobs:.*?)```", (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8"), re.DOTALL
)


def test_image_copies_what_there_is():
    """All that is copied into the image is in the repository."""
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert copied
    assert [each for each in copied if not (ROOT / each).exists()] == []


def test_image_starts_the_program_that_is_installed():
    """The entry point is a script of the package; its arguments can be served with a key, and not without."""
    (entry,) = re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)
    program, option, host = json.loads(entry)
    assert f'[project.scripts]\n{program} = "batch_emulator.__main__:main"' in PYPROJECT
    assert option == "--host"
    check(Settings(host=host, key="b3duIGtleQ=="))
    with pytest.raises(ValueError, match=KEY_VARIABLE):
        check(Settings(host=host))


@pytest.mark.parametrize("text", WORKFLOWS)
def test_workflow_is_one(text):
    """Each workflow of the page is YAML whose jobs have a machine and steps, each of them an action or a
    command; a service has the key that the steps have."""
    for job in yaml.safe_load(text)["jobs"].values():
        assert job["runs-on"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        for service in job.get("services", {}).values():
            assert service["env"][KEY_VARIABLE] == job["env"]["AZURE_BATCH_ACCESS_KEY"]
            assert service["ports"] == ["10003:10003"]
            check(Settings(host="0.0.0.0", key=service["env"][KEY_VARIABLE]))


def test_page_shows_a_workflow_with_and_without_a_service():
    """Both ways stand on the page."""
    assert ["services:" in each for each in WORKFLOWS] == [False, True]
