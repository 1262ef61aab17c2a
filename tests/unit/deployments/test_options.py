"""Each option of the commands of deployments has an effect: what is given to it gets to where it is for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from deployments import automations, serve
from deployments.local import __main__ as local

# Command -> what runs it, its parser, and the words before its options.
COMMANDS = {
    "local up": (local.main, local.parser, ["up"]),
    "local demo": (local.main, local.parser, ["demo"]),
    "serve": (serve.main, serve.parser, []),
    "automations apply": (automations.main, automations.parser, ["apply"]),
}
# Command -> option -> what is given to it.
OPTIONS = {
    "local up": {
        "--env-file": "written.env",
        "--location": "kept",
        "--storage-port": "28001",
        "--batch-port": "28002",
        "--prefect-port": "28003",
        "--account": "anotheraccount",
    },
    "local demo": {
        "--inputs": "some-inputs",
        "--output": "some-outputs",
        "--num-words": "7777",
        "--env-file": "open.env",
    },
    "serve": {"--limit": "7777", "--accounts": "prod-of-ours"},
    "automations apply": {"--cleanup": "cleanup/other", "--notify": "other-block"},
}
EACH = [(command, option) for command, options in OPTIONS.items() for option in options]


@pytest.fixture
def come_of(monkeypatch, tmp_path) -> Callable[..., str]:
    """Run a command whose last steps do nothing; what those were told, as text."""
    told: list[object] = []

    @contextmanager
    def serve_stack(settings, _say) -> Iterator[SimpleNamespace]:
        told.append({**vars(settings), "location": not settings.is_temporary and settings.location})
        yield SimpleNamespace(watch=lambda: None)

    @contextmanager
    def publish(path, _settings) -> Iterator[None]:
        told.append(path)
        yield

    def note(*args: object, **options: object) -> dict[str, str]:
        told.append([args, options])
        return {"PREFECT_API_URL": "http://127.0.0.1:1/api"}

    def note_served(*deployments, **options: object) -> None:
        told.append([options, *(deployment.parameters for deployment in deployments)])

    @contextmanager
    def no_server() -> Iterator[None]:
        yield

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "serve", serve_stack)
    monkeypatch.setattr(local, "say", lambda _text: None)
    monkeypatch.setattr(local.environment, "published", publish)
    monkeypatch.setattr(local.environment, "read_live", note)
    monkeypatch.setattr(local.demo, "check", note)
    monkeypatch.setattr(local.demo, "run", note)
    monkeypatch.setattr(serve, "serve", note_served)
    monkeypatch.setattr(serve, "keep_changes", lambda: None)
    monkeypatch.setattr(automations, "server", no_server)
    monkeypatch.setattr(automations, "apply", lambda *args: [str(note(*args))])

    def run(command: str, *options: str) -> str:
        main, _, words = COMMANDS[command]
        told.clear()
        main([*words, *options])
        return str(told)

    return run


@pytest.mark.parametrize(("command", "option"), EACH)
def test_option_has_an_effect(come_of, command, option):
    """With the option what is given to it is told to who is to know it, and without it is not."""
    given = OPTIONS[command][option]
    assert given in come_of(command, option, given)
    assert given not in come_of(command)


def test_a_stack_is_temporary_where_no_location_is_given(come_of):
    assert "'is_temporary': True" in come_of("local up")
    assert "'is_temporary': False" in come_of("local up", "--location", "kept")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_is_observed(command):
    """No option of a command is without a test."""
    _, parser, words = COMMANDS[command]
    found = parser()
    for word in words:
        (commands,) = [each for each in found._actions if isinstance(each, argparse._SubParsersAction)]
        found = commands.choices[word]
    known = {action.option_strings[-1] for action in found._actions}
    assert known == {*OPTIONS[command], "--help"}
