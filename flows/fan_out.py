"""Run any command over any files on Azure Batch, one Batch task for each file."""

import os
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BeforeValidator, Field

from flows.running import AS_A_RUN, run
from tasks.plans import plan_run
from tasks.spec.run_results import RunResult
from tasks.spec.specs import DEFAULT_CLEANUP, DEFAULT_POOL, BlockName, Cleanup, PoolSpec
from tasks.spec.task_specs import DEFAULT_TASK, TaskSpec


def as_text(value: object) -> object:
    """Paths as Prefect's form sends them, so that a `Path` does as well."""
    if isinstance(value, list | tuple):
        return [as_text(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Text = Annotated[str, BeforeValidator(as_text)]
Texts = Annotated[str | list[str], BeforeValidator(as_text)]
Seconds = Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
RunKey = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=50)]


@flow(name="fan-out", **AS_A_RUN)
def fan_out(
    inputs: Texts,
    application: Text | None,
    command: str,
    output_dir: Text = "output",
    pool: PoolSpec = DEFAULT_POOL,
    cleanup: Cleanup = DEFAULT_CLEANUP,
    timeout_seconds: Seconds = 1200,
    output_name: str = "{stem}_OUTPUT{suffix}",
    max_task_retry_count: Annotated[int, Field(ge=0, le=100)] = 0,
    run_key: RunKey | None = None,
    accounts: BlockName | None = None,
    task: TaskSpec = DEFAULT_TASK,
    refresh: bool = False,
    stream_output: Text | None = None,
) -> RunResult:
    """Run a command over files on Azure Batch, and fetch what it writes.

    Args:
        inputs: A folder (with its sub-folders), a glob, or a list of those. Each file is one Batch task.
        application: A program to bring to the nodes, which the command calls {application}. Empty: none.
        command: What to run for each file. {input} and {output} are its files on the node, {name} is the
            input's name, {application} the program. It runs under no shell; without {output}, what it prints
            is the output.
        output_dir: The local folder for the outputs; sub-folders of the inputs are kept.
        pool: The machines.
        cleanup: What is deleted at the end, and when.
        timeout_seconds: How long the Batch tasks may take together, the start of the nodes included.
        output_name: What an output is called, from the input's {stem}, {suffix} and {name}.
        max_task_retry_count: How often Batch repeats a task whose program fails.
        run_key: Names the run's resources. With the key of an earlier run, this one goes on where that one
            stopped. Empty: the flow run's id.
        accounts: The name of the Prefect blocks of the Batch and the storage account. Empty: the accounts of
            the environment.
        task: The container, environment, user and further files of each Batch task.
        refresh: Run every file. Else those are left out whose outputs are there from an earlier run, of the
            same content, by the same command, program and settings.
        stream_output: The name of an input. What its Batch task prints appears in the log while it runs.
    """
    return run(
        plan_run(
            run_key=run_key or flow_run.id,
            inputs=inputs,
            application=application,
            command=command,
            output_dir=output_dir,
            output_name=output_name,
            pool=pool,
            cleanup=cleanup,
            timeout_seconds=timeout_seconds,
            max_task_retry_count=max_task_retry_count,
            accounts=accounts,
            task=task,
            refresh=refresh,
            stream_output=stream_output,
        )
    )


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(fan_out))
