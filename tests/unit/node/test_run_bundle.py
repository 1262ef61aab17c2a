"""Parts of the runner of a bundle, read from its file as nothing may import it."""

from __future__ import annotations

import importlib
import json
import socket
import ssl
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

NODE = Path(__file__).parents[3] / "node"
KNOWN = {"done": {"exit_code": 0, "tries": 1, "category": ""}}


@pytest.fixture
def runner(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(NODE))
    # What it imports of its folder goes with it.
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    sys.modules.pop("run_bundle", None)
    return importlib.import_module("run_bundle")


@pytest.fixture
def bundle(runner, tmp_path):
    manifest = {"tasks": [], "at_once": 1, "outcomes_read_url": "read", "outcomes_write_url": "write"}
    return runner.Bundle(manifest, str(tmp_path), str(tmp_path))


def test_what_was_done_before_is_asked_for_until_storage_answers(runner, bundle, monkeypatch):
    """However long storage is away; and nothing is noted before."""
    answers = [runner.StorageError(None, "refused"), runner.StorageError(503, "busy"), None]

    def fetch(_: str) -> dict:
        assert bundle.is_saved
        if (answer := answers.pop(0)) is not None:
            raise answer
        return KNOWN

    monkeypatch.setattr(runner, "read_noted", fetch)
    bundle.resume()
    assert (bundle.outcomes, bundle.is_saved, answers) == (KNOWN, False, [])


@pytest.mark.parametrize("status", [404, 403])
def test_where_there_is_nothing_to_resume_a_bundle_begins(runner, bundle, monkeypatch, status):
    """An answer is an answer: nothing noted, or not to be read."""

    def fetch(_: str) -> dict:
        raise runner.StorageError(status, "no")

    monkeypatch.setattr(runner, "read_noted", fetch)
    bundle.resume()
    assert (bundle.outcomes, bundle.is_saved) == ({}, False)


STRANGER, NOBODY = ssl.SSLCertVerificationError(1, "x"), socket.gaierror(socket.EAI_NONAME, "x")


@pytest.mark.parametrize("url", ["http://host:port/x", f"http://{'a' * 64}.invalid/x", STRANGER], ids=str)
def test_storage_that_can_never_be_reached_ends_a_bundle_at_once(runner, bundle, monkeypatch, url, capsys):
    """No URL, not who it says it is: nothing is run, as what was done before is not known."""
    if isinstance(url, Exception):
        monkeypatch.setattr(sys.modules["bundle_storage"], "exchange", fail_with(url))
    monkeypatch.setattr(runner.time, "sleep", lambda _: pytest.fail("It is asked again."))
    bundle.manifest["outcomes_read_url"] = url if isinstance(url, str) else "https://host/x"
    assert bundle.run() == 1
    assert "nothing is run" in capsys.readouterr().err
    assert bundle.is_saved


def fail_with(error: Exception):
    def exchange(*_) -> None:
        raise error

    return exchange


def test_a_name_that_nobody_has_ends_a_bundle_when_it_was_asked_for_a_while(
    runner, bundle, monkeypatch, capsys
):
    """A resolver may be wrong for a moment, but not for half a minute."""
    slept: list[float] = []
    monkeypatch.setattr(sys.modules["bundle_storage"], "exchange", fail_with(NOBODY))
    monkeypatch.setattr(runner.time, "sleep", slept.append)
    bundle.manifest["outcomes_read_url"] = "https://host/x"
    assert bundle.run() == 1
    assert "nothing is run" in capsys.readouterr().err
    assert sum(slept) > 30


@pytest.mark.parametrize("error", [STRANGER, NOBODY], ids=str)
def test_storage_that_has_answered_once_is_asked_again_whatever_hides_it(runner, monkeypatch, error):
    """An output that is made is not lost because a name could not be resolved once."""
    storage, answers = sys.modules["bundle_storage"], [error, error, b"content"]

    def exchange(*_) -> bytes:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr(storage, "has_answered", threading.Event())
    storage.has_answered.set()
    monkeypatch.setattr(storage, "exchange", exchange)
    monkeypatch.setattr(storage.time, "sleep", lambda _: None)
    assert storage.request("GET", "https://host/x") == b"content"


def test_storage_that_stays_away_ends_a_bundle(runner, bundle, monkeypatch):
    """Who has waited long enough gives up, whatever could still be."""
    monkeypatch.setattr(runner, "RESUME_SECONDS", 0)
    for error in (runner.StorageError(None, "refused"), runner.StorageError(503, "busy")):
        monkeypatch.setattr(runner, "read_noted", fail_with(error))
        assert bundle.run() == 1


def test_a_bundle_that_is_ended_ends_though_storage_is_silent(runner, bundle, monkeypatch):
    """What is noted last has as long as the programs had, and no longer."""
    monkeypatch.setattr(runner, "GRACE_SECONDS", 0.01)
    ends, is_over = [], threading.Event()
    monkeypatch.setattr(runner, "keep", lambda *_: is_over.wait(60))
    monkeypatch.setattr(runner.os, "_exit", ends.append)
    bundle.is_saved = False
    bundle.give_up()
    assert ends == [runner.ENDED]
    assert not is_over.is_set()
    is_over.set()


@pytest.mark.parametrize("noted", [b"", b"{", b"[1]", b"\xff", b'{"done": 1}', b'{"done": {"tries": 1}}'])
def test_a_bundle_begins_anew_where_a_program_has_written_over_the_outcomes(
    runner, bundle, monkeypatch, noted
):
    """Nothing that is there keeps it from running its files."""
    monkeypatch.setattr(sys.modules["bundle_storage"], "request", lambda *_: noted)
    bundle.resume()
    assert bundle.outcomes == {}


def test_what_is_noted_last_is_what_is_kept(runner, bundle, monkeypatch):
    """A thread that saves while another is at it waits, and brings what has been noted meanwhile."""
    kept, is_under_way, may_go_on = [], threading.Event(), threading.Event()

    def keep(_path: str, _manifest: dict[str, str], content: bytes) -> None:
        is_under_way.set()
        assert may_go_on.wait(30)
        kept.append(json.loads(content))

    monkeypatch.setattr(runner, "keep", keep)
    bundle.outcomes, bundle.is_saved = {}, False
    first = threading.Thread(target=bundle.save)
    first.start()
    assert is_under_way.wait(30)
    bundle.outcomes, bundle.is_saved = dict(KNOWN), False
    last = threading.Thread(target=bundle.save)
    last.start()
    may_go_on.set()
    first.join()
    last.join()
    assert kept == [{}, KNOWN]
