"""Options made from the flows' parameters, what is printed where, and what listens to a run."""

import inspect
import io
import logging
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from prefect import Flow
from prefect.settings import get_current_settings, temporary_settings
from pydantic import BaseModel

from flows.arguments import find_other_bytes, spell_inputs
from flows.command_line import (
    PATHS_ON_TERMINAL,
    WRONG_USAGE,
    _is_confirmed,
    build_app,
    main,
    print_paths,
    server_settings,
)
from flows.display import expected_errors_hidden, live_display
from flows.fan_out import fan_out
from flows.top_n_words import top_n_words
from tasks.errors import InputError
from tasks.spec.prices import PriceSpec
from tasks.spec.specs import Cleanup, PoolSpec
from tasks.spec.task_specs import TaskSpec
from tasks.watch.progress import Counts

FLOWS = [fan_out, top_n_words]
MODELS = {"prices": PriceSpec, "pool": PoolSpec, "cleanup": Cleanup, "task": TaskSpec}
NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def given(flow: Flow, *arguments: str) -> dict[str, Any]:
    """What these arguments make of the flow's parameters."""
    _, bound, _ = build_app(flow).parse_args(arguments, exit_on_error=False, print_error=False)
    return {name: value for name, value in bound.arguments.items() if name != "as_json"}


def leaves(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        option = f"{prefix}.{name.replace('_', '-')}"
        nested = field.annotation
        is_model = inspect.isclass(nested) and issubclass(nested, BaseModel)
        yield from leaves(nested, option) if is_model else [option]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_help_shows_every_parameter(flow: Flow, capsys: pytest.CaptureFixture[str], monkeypatch):
    """Each parameter, and each field of its models, has its option in the help, and --json too."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(flow, ["--help"]) == 0
    shown = capsys.readouterr().out
    plain = [name for name in flow.parameters.properties if name not in MODELS]
    options = {f"--{name.replace('_', '-')}" for name in plain} | {"--json"}
    for name in MODELS.keys() & flow.parameters.properties.keys():
        options.update(leaves(MODELS[name], f"--{name}"))
    assert {option for option in options if f"{option} " not in shown} == set()
    assert "When to delete the job with its tasks." in shown
    assert "A folder (with its sub-folders), a glob, or a list of those" in shown


def test_options_become_parameters():
    """Options of all kinds arrive with their types, and what is left out is left to the flow."""
    arguments = "--num-words 5 --delay-seconds 0.5 --pool.dedicated-nodes 3 --pool.image.sku minimal"
    assert given(top_n_words, "texts", *arguments.split(), "--cleanup.pool", "never") == {
        "inputs": ["texts"],
        "num_words": 5,
        "delay_seconds": 0.5,
        "pool": PoolSpec(dedicated_nodes=3, image={"sku": "minimal"}),
        "cleanup": Cleanup(pool="never"),
    }
    assert given(top_n_words) == {}


def test_inputs_may_be_many():
    """A shell may expand a pattern: all arguments that are no options are inputs, whatever their names."""
    assert given(fan_out, "a b.txt", "sub/", "ü$(x).txt", "--command", "wc {input}") == {
        "inputs": ["a b.txt", "sub/", "ü$(x).txt"],
        "command": "wc {input}",
    }
    assert given(fan_out, *spell_inputs(["-", "@list.txt"]), "--command", "wc")["inputs"] == [
        "@-",
        "@list.txt",
    ]
    assert given(fan_out, "--command", "wc", "--", "-lead.txt", "--help")["inputs"] == ["-lead.txt", "--help"]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_defaults_are_those_of_the_flow(flow: Flow):
    """What the command line assumes for an option is what the flow assumes for the parameter."""
    command = build_app(flow).default_command
    assumed = {name: option.default for name, option in inspect.signature(command).parameters.items()}
    for name, parameter in inspect.signature(flow).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert assumed[name] in (parameter.default, [parameter.default])


# The cyclopts of Python 3.10 does not say which one it is.
NAMED = "--pool.image" if sys.version_info >= (3, 11) else "An option that was given a value"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--timeout-seconds 0", 'Invalid value "0" for --timeout-seconds. Input should be greater than or'),
        ("--num-words many", "--num-words"),
        ("--run-key NOT/THIS", "--run-key"),
        ("--pool.dedicated-nodes -1", "--pool.dedicated-nodes: Input should be greater than or equal to 0"),
        ("--pool.dedicated-nodes 0", "--pool: a pool needs a node"),
        ("--pool.pool-id a/b", "--pool.pool-id: It takes letters, digits, - and _"),
        ("--cleanup.job sometimes", "--cleanup.job: Input should be 'always', 'on_success' or 'never'"),
        ("--pool.task-slots-per-node 300", "slots-per-node: Input should be less than or equal to 256, or:"),
        ("--pool.image windows", f"{NAMED}: It has fields of its own"),
        ("--pool.colour red", "--pool.colour"),
        ("--no-such-option", "--no-such-option"),
        ("--output-dir", "--output-dir requires an argument"),
    ],
)
def test_wrong_options_are_refused(arguments: str, message: str, capsys: pytest.CaptureFixture[str]):
    """An option that can't be right ends with exit code 2 and a message that names it, and nothing runs."""
    assert main(top_n_words, arguments.split()) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_an_argument_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]):
    """Prefect, which records parameters, could not even be asked."""
    assert main(fan_out, ["in/\udcff.txt", "--command", "wc"]) == WRONG_USAGE
    assert r"'in/\udcff.txt' is not UTF-8" in capsys.readouterr().err
    assert find_other_bytes(["日本語", "😀", "-"]) is None


def test_what_a_flow_needs_must_be_there(capsys: pytest.CaptureFixture[str]):
    """A required parameter that is left out ends with exit code 2 and its name."""
    assert main(fan_out, ["data"]) == 2
    assert "--command" in capsys.readouterr().err
    assert main(fan_out, ["--command", "wc"]) == 2
    assert "--inputs" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_somebody_who_watches_sees_the_first_paths(monkeypatch, capsys: pytest.CaptureFixture[str]):
    """A terminal gets twenty paths and the number of the others, a pipe all of them."""
    paths = [f"/out/{number}" for number in range(1000)]
    print_paths(paths, len(paths), "/out")
    assert capsys.readouterr().out.splitlines() == paths
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    print_paths(paths, len(paths), "/out")
    assert terminal.getvalue().splitlines() == [*paths[:PATHS_ON_TERMINAL], "... and 980 more in /out"]


@pytest.mark.parametrize(
    ("answer", "confirmed"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_somebody_at_the_terminal_is_asked(answer, confirmed, monkeypatch):
    """A question goes to a terminal alone, and only yes is yes."""
    asked = Terminal()
    monkeypatch.setattr("sys.stderr", asked)
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert _is_confirmed("900 nodes") is confirmed
    assert "900 nodes\nGo on all the same?" in asked.getvalue()
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert not _is_confirmed("900 nodes")


def test_no_display_where_nobody_watches(capfd: pytest.CaptureFixture[str]):
    """Nothing is drawn while standard error is no terminal."""
    with live_display() as show:
        show(Counts(total=3, running=2, completed=1))
    assert capfd.readouterr() == ("", "")


def test_our_errors_are_told_once(capsys: pytest.CaptureFixture[str]):
    """Tracebacks of expected errors stay out of the terminal's log; those of other errors don't."""
    logger, records = logging.getLogger("prefect.flow_runs"), []
    with expected_errors_hidden():
        handler = next(
            one for one in logging.getLogger().handlers if type(one).__module__.startswith("prefect")
        )
        for error in (InputError("no such file"), KeyError("a fault of ours")):
            try:
                raise error
            except Exception:
                record = logger.makeRecord("n", logging.ERROR, "f", 1, "failed: %r", (error,), None)
                record.exc_info = (type(error), error, error.__traceback__)
                records.append(bool(handler.filter(record)))
    assert records == [False, True]
    assert handler.filters == []


def test_a_named_server_is_used_as_it_is():
    """Where Prefect's settings name a server, it is asked again for longer than Prefect would; all other
    settings, and a patience that somebody has set, stay as they are."""
    with temporary_settings({"api.url": "http://127.0.0.1:1/api"}):
        before = get_current_settings()
        with server_settings():
            now = get_current_settings()
            assert (now.client.max_retries, now.client.retry_extra_codes) == (8, {500})
            assert (now.api, now.server) == (before.api, before.server)
        with temporary_settings({"client.max_retries": 2}), server_settings():
            assert get_current_settings().client.max_retries == 2
