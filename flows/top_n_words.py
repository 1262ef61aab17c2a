"""The most common words of each text file in a folder, counted on Azure Batch."""

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.fan_out import RunKey, Seconds, Text, Texts
from flows.running import AS_A_RUN, run
from tasks.plans import plan_run
from tasks.report.words_table import publish_words
from tasks.spec.run_results import RunResult
from tasks.spec.specs import DEFAULT_CLEANUP, DEFAULT_POOL, BlockName, Cleanup, PoolSpec

SCRIPT = Path(__file__).parents[1] / "node" / "top_n_words.py"


@flow(name="top-n-words", **AS_A_RUN)
def top_n_words(
    inputs: Texts = "data",
    output_dir: Text = "output",
    num_words: Annotated[int, Field(ge=1, le=10_000)] = 3,
    delay_seconds: Annotated[float, Field(ge=0, le=3600)] = 0,
    pool: PoolSpec = DEFAULT_POOL,
    cleanup: Cleanup = DEFAULT_CLEANUP,
    timeout_seconds: Seconds = 1200,
    run_key: RunKey | None = None,
    accounts: BlockName | None = None,
    refresh: bool = False,
    stream_output: Text | None = None,
) -> RunResult:
    """Count the most common words of each text file, one Batch task for each.

    Args:
        inputs: A folder (with its sub-folders), a glob, or a list of those.
        output_dir: The local folder for the tables, one for each text file.
        num_words: How many words each table has.
        delay_seconds: How long each Batch task sleeps first, to simulate longer work.
        pool: The machines.
        cleanup: What is deleted at the end, and when.
        timeout_seconds: How long the Batch tasks may take together, the start of the nodes included.
        run_key: Names the run's resources. With the key of an earlier run, this one goes on where that one
            stopped. Empty: the flow run's id.
        accounts: The name of the Prefect blocks of the Batch and the storage account. Empty: the accounts of
            the environment.
        refresh: Run every file. Else those are left out whose tables are there from an earlier run, of the
            same content and with the same settings.
        stream_output: The name of an input. What its Batch task prints appears in the log while it runs.
    """
    result = run(
        plan_run(
            run_key=run_key or flow_run.id,
            inputs=inputs,
            application=str(SCRIPT),
            command="python3 {application} --filepath {input} --output {output} "
            f"--numwords {num_words} --delay {delay_seconds}",
            output_dir=output_dir,
            output_name="{stem}_OUTPUT{suffix}",
            pool=pool,
            cleanup=cleanup,
            timeout_seconds=timeout_seconds,
            accounts=accounts,
            refresh=refresh,
            stream_output=stream_output,
        )
    )
    publish_words(result)
    return result


if __name__ == "__main__":
    from flows.command_line import main

    raise SystemExit(main(top_n_words))
