"""The deployments for Azure, beside those for the local stack."""

import re

import pytest
import yaml

from deployments.files import FOLDER, load_flow, read_deployments
from deployments.local.services import SERVER_PATIENCE
from deployments.serve import served
from flows.command_line import PATIENCE

LOCAL, AZURE = read_deployments("prefect.yaml"), read_deployments("azure.yaml")
MAX_RETRIES, EXTRA_CODES = "PREFECT_CLIENT_MAX_RETRIES", "PREFECT_CLIENT_RETRY_EXTRA_CODES"
TEXT = (FOLDER / "azure.yaml").read_text(encoding="utf-8")


def names(deployments) -> list[str]:
    return [f"{load_flow(one).name}/{one['name']}" for one in deployments]


def shapes(deployments) -> list[tuple]:
    """What a deployment is apart from where it runs."""
    return [
        (one["entrypoint"], one["description"], one.get("schedules"), one.get("concurrency_limit"))
        for one in deployments
    ]


def test_there_is_the_same_for_azure_as_for_the_local_stack():
    """Both files have the same flows with the same schedules, limits and descriptions."""
    assert shapes(AZURE) == shapes(LOCAL)


def test_served_flows_are_the_same_again():
    """Who wants no worker gets the same deployments, under names of their own."""
    assert [one.entrypoint for one in served()] == [one["entrypoint"] for one in LOCAL]
    assert [(one.flow_name, one.name) for one in served()] == [
        ("fan-out", "run-program-served"),
        ("top-n-words", "count-words-served"),
        ("top-n-words", "nightly-served"),
        ("cleanup", "one-run-served"),
        ("check", "what-is-needed-served"),
        ("sweep", "leftovers-served"),
    ]
    for one, entry in zip(served("prod"), LOCAL, strict=True):
        assert (one.concurrency_limit is None) == ("concurrency_limit" not in entry)
        assert [schedule.active for schedule in one.schedules] == [False] * len(entry.get("schedules", []))
        assert ("accounts" in one.parameters) == (one.flow_name != "cleanup")


@pytest.mark.parametrize("deployment", AZURE, ids=names(AZURE))
def test_an_azure_deployment_can_be_what_it_says(deployment):
    """It sets parameters that its flow has, goes to the work pool of the container, and starts nothing."""
    assert set(deployment.get("parameters", {})) <= set(load_flow(deployment).parameters.properties)
    assert deployment["work_pool"]["name"] == "azure"
    assert all(schedule["active"] is False for schedule in deployment.get("schedules", []))


@pytest.mark.parametrize("deployment", AZURE, ids=names(AZURE))
def test_an_azure_run_bears_a_server_that_is_away(deployment):
    """It asks Prefect's server again as long, and after the same answers, as runs of the local stack's worker
    and runs in a terminal do."""
    variables = deployment["work_pool"]["job_variables"]["env"]
    assert variables == SERVER_PATIENCE
    retries, codes = int(variables[MAX_RETRIES]), {int(variables[EXTRA_CODES])}
    assert {"client.max_retries": retries, "client.retry_extra_codes": codes} == PATIENCE


@pytest.mark.parametrize("deployment", [*LOCAL, *AZURE], ids=[*names(LOCAL), *names(AZURE)])
def test_no_deployment_refers_to_a_secret_where_it_would_be_written_out(deployment):
    """`prefect deploy` puts a block's value in place of its name everywhere but in the pull step."""
    assert "prefect.blocks" not in yaml.safe_dump(dict(deployment))


def test_the_pull_step_has_nothing_but_references():
    """Where the code is and how to get it is asked for when a run starts."""
    ((name, step),) = yaml.safe_load(TEXT)["pull"][0].items()
    assert name == "prefect.deployments.steps.git_clone"
    assert all(
        re.fullmatch(r"\{\{ prefect\.(variables|blocks\.secret)\.[a-z_-]+ \}\}", value)
        for value in step.values()
    )


def test_what_runs_by_itself_never_overlaps():
    """Each deployment with a schedule has a limit of one run and says what happens to a second one."""
    for deployment in [*LOCAL, *AZURE]:
        if deployment.get("schedules"):
            assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
            assert all(schedule["timezone"] for schedule in deployment["schedules"])


def test_the_automations_are_about_our_flows():
    """The automations name the flows whose runs leave something behind, and no other flow's runs."""
    automations = yaml.safe_load((FOLDER / "automations.yaml").read_text(encoding="utf-8"))["automations"]
    runs = {load_flow(one).name for one in LOCAL} - {"check", "cleanup", "sweep"}
    for automation in automations:
        related = automation["trigger"]["match_related"]
        assert related["prefect.resource.role"] == "flow"
        assert set(related["prefect.resource.name"]) == runs
