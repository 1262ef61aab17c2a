"""The command line of the local stack: `up`, `demo`, `install`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from deployments.errors import LocalServiceError
from deployments.local import demo, environment
from deployments.local.keys import load_keys
from deployments.local.settings import BATCH_ACCOUNT, Settings, client_environment
from deployments.local.stack import install, reserved_ports, serve, temporary_location
from deployments.supervisor import interrupted_by_signals, supervised
from tasks.errors import InputError

WORDS_MAX = 10_000
ENV_FILE = Path(".local", "stack.env")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 1 when a service could not start or has died."""
    options = parser().parse_args(arguments)
    try:
        with interrupted_by_signals():
            return options.run(options)
    except (LocalServiceError, InputError) as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        say("Stopped")
        return options.interrupted_exit_code


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="python -m deployments.local", description=__doc__)
    commands = root.add_subparsers(required=True)
    add_up(commands)
    _add_demo(commands)
    setup = commands.add_parser("install", help="fetch what the stack needs, start nothing")
    setup.set_defaults(run=_run_install, interrupted_exit_code=130)
    return root


def add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up = commands.add_parser("up", help="start the whole stack and keep it open until Ctrl-C")
    up.add_argument("--env-file", type=Path, help="write the variables that a client needs here, once ready")
    up.add_argument("--location", type=Path, help="keep all data here (default: a temporary folder)")
    up.add_argument("--storage-port", type=int, help="port of Azurite (default: 10000, or a free one)")
    up.add_argument("--batch-port", type=int, help="port of Azure Batch (default: 10003, or a free one)")
    up.add_argument("--prefect-port", type=int, help="port of Prefect (default: 4200, or a free one)")
    up.add_argument("--account", default=BATCH_ACCOUNT, help="name of the Batch account")
    up.set_defaults(run=_run_up, interrupted_exit_code=0)


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    shown = commands.add_parser("demo", help="run top-n-words over a folder, show the result")
    shown.add_argument("--inputs", type=folder, default=Path("data"), help="folder of text files")
    shown.add_argument("--output", type=folder, default=Path("output"), help="folder for the results")
    shown.add_argument("--num-words", type=_word_count, default=3, help="words to list of each file")
    shown.add_argument("--env-file", type=Path, default=ENV_FILE, help="use the open stack that wrote this")
    shown.set_defaults(run=_run_demo, interrupted_exit_code=130)


def folder(text: str) -> Path:
    """A path that says something: an empty one would be the folder that one is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; this folder is .")
    return Path(text)


def _word_count(text: str) -> int:
    """As the flow takes it."""
    if not text.isdecimal() or not 1 <= int(text) <= WORDS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of words between 1 and {WORDS_MAX:,}")
    return int(text)


def _run_up(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        settings = _stack_settings(options, stack)
        supervisor = stack.enter_context(serve(settings, say))
        if options.env_file:
            stack.enter_context(environment.published(options.env_file, settings))
        stack.callback(say, "Stopping")
        say(_welcome(settings, options.env_file))
        supervisor.watch()
    return 0


def _run_demo(options: argparse.Namespace) -> int:
    demo.check(options.inputs, options.output)
    variables = environment.read_live(options.env_file)
    with ExitStack() as stack:
        if not variables:
            location = stack.enter_context(temporary_location())
            ports = stack.enter_context(reserved_ports(None, None, None))
            settings = Settings(location, *ports, load_keys(location), is_temporary=True)
            stack.enter_context(serve(settings, say))
            variables = client_environment(settings)
            stack.callback(say, "\nThe dashboard closes with this stack. To keep one open: make up")
        return demo.run(variables, options.inputs, options.output, options.num_words, say)


def _run_install(options: argparse.Namespace) -> int:
    with temporary_location() as location, supervised() as supervisor:
        install(supervisor, location, say)
    return 0


def _stack_settings(options: argparse.Namespace, stack: ExitStack) -> Settings:
    location = options.location.resolve() if options.location else stack.enter_context(temporary_location())
    ports = stack.enter_context(
        reserved_ports(options.storage_port, options.batch_port, options.prefect_port)
    )
    return Settings(
        location,
        *ports,
        load_keys(location),
        is_temporary=options.location is None,
        batch_account=options.account,
    )


def _welcome(settings: Settings, env_file: Path | None) -> str:
    lines = [
        "",
        f"  Dashboard      {settings.dashboard_link}",
        f"  Azure Batch    {settings.batch_endpoint}  (account {settings.batch_account})",
        f"  Azure Storage  {settings.storage.blob_endpoint}",
        f"  Data and logs  {settings.location}",
    ]
    if env_file:
        lines += [
            "",
            f"  In another terminal:  {'./run COMMAND' if env_file == ENV_FILE else f'. {env_file}'}",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops it."])


def say(text: str) -> None:
    """Print a line for whoever is still listening: after SIGHUP the terminal may be gone."""
    try:
        print(text, flush=True)
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
