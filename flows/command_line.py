"""Flows in a terminal: options from their signatures, a live display, and an exit code.

The log and the display go to standard error; standard output gets the paths of the outputs, or with --json a
summary. The exit code is 0, 1 if the run failed, 2 if the options can't be right, 130 if it was interrupted.
"""

import inspect
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

import pydantic
from cyclopts import App, CycloptsError, Group, Parameter
from prefect import Flow
from prefect.settings import get_current_settings, temporary_settings

from flows.arguments import find_other_bytes, spell_inputs
from flows.display import expected_errors_hidden, live_display
from flows.heartbeats import UNSENT, heartbeats_sent
from flows.json_summary import write_summary
from flows.server_errors import explain_server_error
from tasks.azure.accounts import read_accounts
from tasks.base.listeners import listening
from tasks.base.printable import make_printable
from tasks.errors import FanOutError, IdleNodesError, MissingSettingsError, SettingsError
from tasks.spec.named_patterns import WITH_FIELDS, describe_refusal, name_fields
from tasks.spec.run_results import RunResult
from tasks.watch.progress import Counts

GENERAL = Group("Options", sort_key=0)

SUCCEEDED, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
PATHS_ON_TERMINAL = 20

# Without an API URL Prefect starts a server for the run. That takes longer than its default allows on a small
# machine, and one that records task runs singly has forgotten most of them when it stops.
TEMPORARY_SERVER: dict[Any, Any] = {
    "server.ephemeral.enabled": True,
    "server.ephemeral.startup_timeout_seconds": 120,
    "server.analytics_enabled": False,
    "server.services.task_run_recorder.batch_size": 1000,
    "server.services.task_run_recorder.read_batch_size": 1000,
    "server.services.task_run_recorder.flush_interval": 1,
}
# A server that is away, or fails, is asked again for eight minutes, unless somebody has set how often. By
# default Prefect does so for one, and after a 500 not at all.
PATIENCE: dict[Any, Any] = {"client.max_retries": 8, "client.retry_extra_codes": {500}}
# The temporary server takes whoever has this, and so no page in a browser.
KEY_SETTINGS = ("server.api.auth_string", "api.auth_string")

EPILOGUE = """
The accounts are those of the environment: AZURE_BATCH_ENDPOINT, AZURE_BATCH_ACCOUNT, AZURE_BATCH_ACCESS_KEY,
AZURE_STORAGE_CONNECTION_STRING (the README says more). The run is recorded by the Prefect server at
PREFECT_API_URL or, where that is not set, by one that lives as long as the run.

The paths of the outputs go to stdout, all else to stderr. The exit code is 0, 1 if the run failed, 2 for
options that can't be right.
"""
ACCOUNTS_HINT = (
    "With no cloud account: `make up` in another terminal opens a local stack, which"
    " `./run python -m flows.{name} ...` then uses. With one: the README, `On a real account`."
)
AS_JSON = Parameter(
    "--json", group=GENERAL, show_default=False, help="Print the summary as JSON, and no paths."
)


@dataclass
class Outcome:
    """What a run has come to: its result, as far as it came to one, and why it failed."""

    result: RunResult | None = None
    error: str | None = None
    exit_code: int = SUCCEEDED
    has_idle_nodes: bool = False
    """Whether it did not begin because of more nodes than files, which somebody may confirm."""


def main(flow: Flow, arguments: Sequence[str] | None = None) -> int:
    """Run a flow with these arguments, by default those of the process. Returns the exit code."""
    app = build_app(flow)
    given = spell_inputs(sys.argv[1:] if arguments is None else arguments)
    if problem := find_other_bytes(given):
        print(f"Error: {problem}", file=sys.stderr)
        return WRONG_USAGE
    try:
        command, bound, _ = app.parse_args(given, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"Error: {_explain_usage(error)}\nSee --help.", file=sys.stderr)
        return WRONG_USAGE
    except IndexError:
        # What cyclopts 4, the newest for Python 3.10, makes of it, without a word of which option it is.
        print(f"Error: An option that was given a value: {WITH_FIELDS}.", file=sys.stderr)
        return WRONG_USAGE
    try:
        # After --help there is nothing to return.
        return command(*bound.args, **bound.kwargs) or SUCCEEDED
    except KeyboardInterrupt:
        return INTERRUPTED


def build_app(flow: Flow) -> App:
    app = App(
        name=f"python -m flows.{flow.fn.__name__}",
        default_command=_make_command(flow),
        default_parameter=Parameter(negative=()),
        help_format="markdown",
        help_epilogue=EPILOGUE,
        version_flags=[],
    )
    app["--help"].group = GENERAL
    return app


def _make_command(flow: Flow) -> Callable[..., int]:
    """A function with the options of the flow that runs it and returns the exit code."""
    options = [_make_option(parameter) for parameter in inspect.signature(flow).parameters.values()]
    as_json = options[-1].replace(name="as_json", default=False, annotation=Annotated[bool, AS_JSON])
    signature = inspect.Signature([*options, as_json])

    def command(*args: Any, **kwargs: Any) -> int:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        as_json = given.arguments.pop("as_json")
        outcome = _run_flow(flow, given.arguments)
        if outcome.has_idle_nodes and _is_confirmed(outcome.error):
            pool = given.arguments["pool"].model_copy(update={"allow_idle_nodes": True})
            outcome = _run_flow(flow, {**given.arguments, "pool": pool})
        report(outcome, as_json)
        return outcome.exit_code

    command.__doc__ = inspect.getdoc(flow.fn)
    command.__signature__ = signature
    # Else these would be taken for the types of the options.
    command.__annotations__ = {}
    return command


def _make_option(parameter: inspect.Parameter) -> inspect.Parameter:
    """A flow's parameter as an option: one that takes several texts takes the arguments that are no options,
    one that may be None may be left out, and a model is a group of options."""
    kind, default, accepted = inspect.Parameter.KEYWORD_ONLY, parameter.default, parameter.annotation
    plain = get_args(accepted)[0] if get_origin(accepted) is Annotated else accepted
    details: dict[str, Any] = {"validator": _make_validator(accepted), "group": GENERAL}
    if list[str] in get_args(plain):
        kind, plain = inspect.Parameter.POSITIONAL_OR_KEYWORD, list[str]
        default = [default] if isinstance(default, str) else default
        details["show_default"] = " ".join
    elif type(None) in get_args(plain) and default is inspect.Parameter.empty:
        default = None
    elif isinstance(plain, type) and issubclass(plain, pydantic.BaseModel):
        details["group"] = Group.create_ordered(parameter.name.capitalize())
    annotation = Annotated[plain, Parameter(**details)]
    return inspect.Parameter(parameter.name, kind, default=default, annotation=annotation)


def _make_validator(accepted: Any) -> Callable[[Any, Any], None]:
    """What cyclopts calls to check a value: it raises ValueError for those that the flow would refuse."""
    adapter = pydantic.TypeAdapter(accepted)

    def validate(_type: Any, value: Any) -> None:
        try:
            adapter.validate_python(value)
        except pydantic.ValidationError as error:
            raise ValueError(". ".join(map(describe_refusal, error.errors()))) from error

    return validate


def _explain_usage(error: CycloptsError) -> str:
    """What is wrong with the options; where a model refused its fields, with the options that these are."""
    refused = error.__cause__
    if error.argument is None or not isinstance(refused, pydantic.ValidationError):
        return str(error)
    refusals: dict[str, list[str]] = {}
    for detail in refused.errors():
        option = ".".join(filter(None, [error.argument.name, *name_fields(detail["loc"])]))
        refusals.setdefault(option, []).append(describe_refusal(detail))
    return "\n".join(f"{option}: {', or: '.join(reasons)}" for option, reasons in refusals.items())


def _run_flow(flow: Flow, parameters: Mapping[str, Any]) -> Outcome:
    """Run the flow under the live display. Raises what is neither ours nor an interruption."""
    outcome = Outcome()
    if problem := _find_no_account(flow, parameters):
        return Outcome(error=problem, exit_code=FAILED)
    with heartbeats_sent(flow), server_settings(), expected_errors_hidden(), live_display() as show:

        def hear(news: object) -> None:
            if isinstance(news, Counts):
                show(news)
            elif isinstance(news, RunResult):
                outcome.result = news

        with listening(hear):
            try:
                flow(**parameters)
            except FanOutError as error:
                outcome.error, outcome.exit_code = str(error), FAILED
                outcome.has_idle_nodes = isinstance(error, IdleNodesError)
            except KeyboardInterrupt:
                outcome.error, outcome.exit_code = "Interrupted.", INTERRUPTED
            except Exception as error:
                outcome.error, outcome.exit_code = explain_server_error(error), FAILED
                if outcome.error is None:
                    raise
    return outcome


def _is_confirmed(question: str | None) -> bool:
    """Whether somebody at the terminal says to go on; where nobody is, no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question}\nGo on all the same? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _find_no_account(flow: Flow, parameters: Mapping[str, Any]) -> str | None:
    """What is missing of the accounts, said before any server is started; blocks are looked up by the run."""
    try:
        if not parameters.get("accounts"):
            read_accounts()
    except MissingSettingsError as error:
        return f"{error}\n{ACCOUNTS_HINT.format(name=flow.fn.__name__)}"
    except SettingsError as error:
        return str(error)
    return None


def server_settings() -> AbstractContextManager[Any]:
    """Prefect's settings as they are if they name a server, with more patience; else with those of a
    temporary one added. Its heartbeats are left to us."""
    if get_current_settings().api.url:
        return temporary_settings(UNSENT, set_defaults=PATIENCE)
    # Takes seconds to import, which are Prefect's own where it starts a server.
    from flows.temporary_server import TemporaryServer

    TemporaryServer()
    key = f"local:{secrets.token_urlsafe(32)}"
    # A key of the environment is that of another server.
    own_key: dict[Any, Any] = dict.fromkeys(KEY_SETTINGS, key)
    return temporary_settings(UNSENT | own_key, set_defaults=TEMPORARY_SERVER)


def report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        write_summary(outcome.result, outcome.exit_code, outcome.error, sys.stdout)
    elif outcome.result:
        files = outcome.result.files
        print_paths((path for _, path in files.list_outputs()), files.output_count, outcome.result.output_dir)
    if outcome.error:
        print(f"Error: {make_printable(outcome.error)}", file=sys.stderr)


def print_paths(paths: Iterable[str], count: int, output_dir: str) -> None:
    """A line for each output; somebody who watches, and pipes them nowhere, sees the first ones."""
    shown = min(count, PATHS_ON_TERMINAL) if sys.stdout.isatty() else count
    for path in islice(paths, shown):
        print(path)
    if shown < count:
        print(f"... and {count - shown:,} more in {output_dir}")
