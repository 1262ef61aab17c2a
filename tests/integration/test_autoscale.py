"""Pools that follow their tasks, on a service whose minutes pass in a fraction of a second."""

from __future__ import annotations

from pathlib import Path

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

import batch_emulator
from tests.conformance.conftest import pool_parameters
from tests.waiting import wait_until

FIVE_MINUTES_IN_A_SECOND = 300
# The documentation's own example, with shorter times.
FOLLOW_TASKS = """
$samples = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 5);
$tasks = $samples < 70 ? max(0, $PendingTasks.GetSample(1))
    : max($PendingTasks.GetSample(1), avg($PendingTasks.GetSample(TimeInterval_Minute * 5)));
$TargetDedicatedNodes = max(0, min($tasks, 3));
$NodeDeallocationOption = taskcompletion;
"""


def connect(account: batch_emulator.Account) -> BatchClient:
    return BatchClient(account.endpoint, AzureNamedKeyCredential(account.name, account.key))


def create_scaling_pool(client: BatchClient, formula: str) -> None:
    client.create_pool(
        pool_parameters(
            "p",
            target_dedicated_nodes=None,
            enable_auto_scale=True,
            auto_scale_formula=formula,
            auto_scale_evaluation_interval="PT5M",
        )
    )


def node_count(client: BatchClient) -> int:
    return client.get_pool("p").current_dedicated_nodes


def test_pool_grows_with_its_tasks_and_shrinks_without():
    """Tasks that wait get nodes at the next evaluation; when all is done the nodes go, after the samples."""
    with batch_emulator.serve(speed=FIVE_MINUTES_IN_A_SECOND) as account, connect(account) as client:
        create_scaling_pool(client, FOLLOW_TASKS)
        assert node_count(client) == 0
        client.create_job(models.BatchJobCreateOptions(id="j", pool_info=models.BatchPoolInfo(pool_id="p")))
        waiting = "/bin/sh -c 'while [ ! -e $AZ_BATCH_NODE_SHARED_DIR/../../go ]; do sleep 0.05; done'"
        for number in range(5):
            client.create_task("j", models.BatchTaskCreateOptions(id=str(number), command_line=waiting))
        wait_until(lambda: node_count(client) == 3, 30, "three nodes")
        wait_until(lambda: client.get_job_task_counts("j").task_counts.running == 3, 30, "running tasks")
        (account.location / "nodes" / "p" / "go").touch()
        wait_until(lambda: client.get_job_task_counts("j").task_counts.succeeded == 5, 30, "five successes")
        wait_until(lambda: node_count(client) == 0, 30, "an empty pool")
        run = client.get_pool("p").auto_scale_run
    assert run.error is None
    assert run.results.startswith("$TargetDedicatedNodes=0;$TargetLowPriorityNodes=0;")
    assert "$NodeDeallocationOption=taskcompletion;$samples=" in run.results


def test_evaluations_go_on_after_a_restart(tmp_path: Path):
    """A service that was stopped evaluates its pools' formulas again at the interval when it is back."""
    settings = {"speed": FIVE_MINUTES_IN_A_SECOND, "location": tmp_path}
    with batch_emulator.serve(**settings) as account, connect(account) as client:
        create_scaling_pool(client, "$TargetDedicatedNodes = 1;")
        before = client.get_pool("p").auto_scale_run.timestamp
    with batch_emulator.serve(**settings) as account, connect(account) as client:
        wait_until(lambda: client.get_pool("p").auto_scale_run.timestamp > before, 30, "an evaluation")
        wait_until(lambda: [node.state for node in client.list_nodes("p")] == ["idle"], 30, "an idle node")
