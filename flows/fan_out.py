"""Run any command over any files on Azure Batch, one Batch task for each file."""

from prefect import flow

from flows.parameters import recorded_lightly, shown_in_form, takes
from flows.running import AS_A_RUN, run
from tasks.plans import plan_run
from tasks.spec.run_results import RunResult
from tasks.spec.run_spec import RunSpec


@recorded_lightly
@shown_in_form(RunSpec)
@flow(name="fan-out", **AS_A_RUN)
@takes(RunSpec)
def fan_out(spec: RunSpec) -> RunResult:
    """Run a command over files on Azure Batch, and fetch what it writes."""
    return run(plan_run(spec))


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(fan_out))
