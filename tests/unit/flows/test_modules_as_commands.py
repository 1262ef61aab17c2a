"""The flows that look and clear away, as commands in a terminal."""

import runpy
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "option"), [("check", "--inputs"), ("sweep", "--dry-run"), ("cleanup", "--flow-run-id")]
)
def test_the_module_of_a_flow_is_a_command(module, option, monkeypatch, capsys):
    """One that did nothing, with exit code 0, would pass for one that had nothing to do."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, f"flows.{module}", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"flows.{module}", run_name="__main__")
    assert ended.value.code == 0
    assert option in capsys.readouterr().out
