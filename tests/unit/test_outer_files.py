"""What stands around the code, held to it: the license, what runs in CI and before a commit."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CI: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def commands_of(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def words_of_target(target: str) -> set[str]:
    """The tools that a target of the Makefile runs, each with its first word, if that is no option."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe is not None
    return {tool_of(line) for line in recipe[1].splitlines()}


def tool_of(command: str) -> str:
    words = re.sub(r"\$\(IN_VENV\) -m |\.venv/bin/python -m |\.venv/bin/|[\t@]", "", command).split()
    return " ".join(words[: 1 + (words[0] == "ruff")])


def test_the_license_that_is_claimed_is_there():
    """The text of the license that `pyproject.toml` and the README name."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert 'license = "Apache-2.0"' in PROJECT
    assert "Apache License 2.0" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004", text)
    assert "9. Accepting Warranty or Additional Liability" in text


def test_ci_runs_the_targets():
    """Each target that says something of a change is a job, and what is covered is printed."""
    run = {
        target for job in CI["jobs"].values() for target in re.findall(r"make ([a-z-]+)", commands_of(job))
    }
    assert run == {"check", "test", "soak", "coverage", "test-browser", "docs"}
    assert run <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert "GITHUB_STEP_SUMMARY" in commands_of(CI["jobs"]["coverage"])


def test_ci_has_the_pythons_that_are_claimed():
    """Those of the README's table of versions, of which the least is `requires-python`."""
    rows = re.findall(
        r"^\| (3\.[\d., ]+) \| \d", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    claimed = {version for row in rows for version in row.split(", ")}
    assert set(CI["jobs"]["test"]["strategy"]["matrix"]["python"]) == claimed
    least = min(claimed, key=lambda version: int(version.partition(".")[2]))
    assert f'requires-python = ">={least}"' in PROJECT


def test_before_a_commit_the_same_tools_run():
    """Those of `make check`, so that what passes here passes there."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    assert {tool_of(hook["entry"]) for hook in hooks} == words_of_target("check")


def test_what_lands_has_passed_check_test_and_soak():
    """`.ci/run` runs these targets, and all of them."""
    assert "for target in check test soak; do" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def requirements_of(python: str) -> list[Requirement]:
    """What `pyproject.toml` asks of that Python, in all extras."""
    found = [
        Requirement(line)
        for line in re.findall(r'^ *"([a-z].*?)",?$', PROJECT, re.MULTILINE | re.IGNORECASE)
        if re.search("[<>]=", line)
    ]
    return [one for one in found if is_for(one, python)]


def is_for(requirement: Requirement, python: str) -> bool:
    return not requirement.marker or requirement.marker.evaluate(
        {"python_version": python, "python_full_version": f"{python}.0"}
    )


@pytest.mark.parametrize("python", CI["jobs"]["test"]["strategy"]["matrix"]["python"])
def test_the_constraints_are_what_is_asked_for(python):
    """Of each Python: else nothing can be installed there."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    chosen = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {one.name: str(one.specifier).removeprefix("==") for one in chosen if is_for(one, python)}
    asked = requirements_of(python)
    assert len(asked) > 30
    assert [str(one) for one in asked if versions.get(one.name) not in one.specifier] == []
