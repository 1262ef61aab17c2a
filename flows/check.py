"""Look at everything that a run would need, and make nothing."""

from collections.abc import Callable

from prefect import flow
from pydantic import Field

from flows.parameters import shown_in_form, takes
from tasks.azure.blocks import using_accounts
from tasks.azure.secret_blocks import read_secrets
from tasks.base.printable import say_count
from tasks.checks import Finding, find_account_problems, find_pool_problems, find_space_problems
from tasks.downloads import locate_output_folder
from tasks.errors import FanOutError, PermanentError
from tasks.extra_files import find_extra_files
from tasks.logs import run_logger
from tasks.plans import (
    find_application,
    find_output_place,
    find_plan_inputs,
    find_plan_prices,
    refuse_contradictions,
    refuse_unfit,
)
from tasks.reuse.earlier_seconds import measure_earlier
from tasks.spec.blob_places import is_place
from tasks.spec.command_line import build_command
from tasks.spec.input_files import InputFile
from tasks.spec.inputs import refuse_template
from tasks.spec.output_places import OutputPlace
from tasks.spec.prices import check_max_cost, describe_estimate, describe_hours
from tasks.spec.run_spec import Places, RunSpec, Text
from tasks.spec.task_specs import pool_for


class CheckSpec(RunSpec):
    """A run of which as much is checked as is given."""

    inputs: Places = Field(default=[], description="The inputs, as for `fan_out`. Empty: not looked at.")
    application: Text | None = Field(default=None, description="The program that the command calls.")
    command: str = Field(default="", description="The command, as for `fan_out`. Empty: not looked at.")


@shown_in_form(CheckSpec)
@flow(name="check")
@takes(CheckSpec)
def check(spec: CheckSpec) -> list[Finding]:
    """Check accounts, roles, image, slots, names, disk space and clock, and tell all findings at once."""
    pool = pool_for(spec.task, spec.pool)
    with using_accounts(spec.accounts, spec.storage_accounts):
        files: list[InputFile] = []
        findings = [*find_account_problems(pool, spec.timeout_seconds), *find_pool_problems(pool)]
        findings += [*_check_files(spec, files), *_check_options(spec), *_check_secrets(spec)]
        findings += _check_cost(spec, len(files))
    findings = _tell_once(findings)
    for finding in findings:
        log = run_logger().info if finding.outcome == "fine" else run_logger().warning
        log("%s: %s: %s", finding.outcome.capitalize(), finding.about, finding.message)
    wrong = [f"{finding.about}: {finding.message}" for finding in findings if finding.outcome == "wrong"]
    if wrong:
        counted = f"Wrong: {len(wrong)} of {say_count(len(findings), 'finding')}."
        raise PermanentError("\n".join([counted, *wrong]))
    return findings


def _tell_once(findings: list[Finding]) -> list[Finding]:
    """What is wrong with one thing is in the way of others: it is told of the first."""
    wrong: set[str] = set()
    told = []
    for finding in findings:
        if finding.message not in wrong:
            told.append(finding)
        if finding.outcome == "wrong":
            wrong.add(finding.message)
    return told


def _check_files(spec: CheckSpec, files: list[InputFile]) -> list[Finding]:
    """What is wrong with the inputs and the command, as far as they are given; `files` takes the inputs."""
    findings: list[Finding] = []
    if spec.command:
        name = "application" if spec.application else None
        findings += _try("command", lambda: build_command(spec.command, name), "It can be run.")
    places: list[OutputPlace | None] = []
    is_remote = is_place(spec.output_dir)
    if is_remote:
        findings += _try(
            "output folder", lambda: places.append(find_output_place(spec)), "Blobs can be written there."
        )
    else:
        findings += _try("output folder", lambda: locate_output_folder(spec.output_dir))
    findings += _try("output name", lambda: refuse_template(spec.output_name))
    if spec.inputs:
        findings += _try(
            "inputs", lambda: files.extend(find_plan_inputs(spec, *places)), "Their names can be used."
        )
    if files:
        findings += _try("options", lambda: refuse_unfit(spec, files))
    if is_remote:
        return findings
    return [*findings, *_check_space(spec.output_dir, files)]


def _check_space(output_dir: str, files: list[InputFile]) -> list[Finding]:
    """What a run would find of its local output folder."""
    found: list[Finding] = []
    wrong = _try(
        "output folder",
        lambda: found.extend(find_space_problems(locate_output_folder(output_dir), files)),
    )
    return wrong or found


def _check_options(spec: CheckSpec) -> list[Finding]:
    """What a run would refuse of its options, its program and its other files."""
    return [
        *_try("options", lambda: refuse_contradictions(spec)),
        *_try("application", lambda: find_application(spec.application)),
        *_try("task.files", lambda: find_extra_files(spec.task.files)),
    ]


def _check_secrets(spec: CheckSpec) -> list[Finding]:
    """Whether each block can be read: all that can't are told."""
    blocks = spec.task.secret_environment.items()
    return [
        found
        for name, block in blocks
        for found in _try("secrets", lambda one={name: block}: read_secrets(one), f"{name} can be read.")
    ]


def _check_cost(spec: CheckSpec, files: int) -> list[Finding]:
    """Whether a limit can be held, how many node-hours the run comes to, and what they cost at the most, as
    far as prices are known."""
    try:
        prices = find_plan_prices(spec)
        check_max_cost(spec.max_cost, prices, spec.pool, spec.prices)
        folder = None if is_place(spec.output_dir) else locate_output_folder(spec.output_dir)
    except FanOutError as error:
        return [Finding("cost", "wrong", str(error))]
    fine = [] if spec.max_cost is None else ["The limit can be held."]
    seconds_each = measure_earlier(folder)
    hours = describe_hours(spec.pool, spec.timeout_seconds, files, seconds_each, spec.files_per_node)
    fine.append(f"{hours}.")
    if prices and (estimate := describe_estimate(prices, spec.pool, spec.timeout_seconds)):
        fine.append(f"{estimate}.")
    return [Finding("cost", "fine", message) for message in fine]


def _try(about: str, look: Callable[[], object], fine: str = "") -> list[Finding]:
    """What a look finds wrong, else that it is fine, if there are words for that."""
    try:
        look()
    except FanOutError as error:
        return [Finding(about, "wrong", str(error))]
    return [Finding(about, "fine", fine)] if fine else []


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(check))
