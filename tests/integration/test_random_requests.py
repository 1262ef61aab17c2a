"""What clients send in earnest, in any order, over a socket.

Nothing is ever answered with a 5xx; states follow each other as the tables say; counts are those of the list.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import batch_emulator
from batch_emulator.node.simulation import Simulation
from batch_emulator.resources.transitions import JOB, PASSING, TASK
from bench.signing import follow, open_account

Table = Mapping[Any, Mapping[Any, Any]]
EXAMPLES = int(os.environ.get("RANDOM_REQUESTS_EXAMPLES", "5"))
# Time passes here, so that a failure need not come again, and shrinking it would lead nowhere.
QUIETLY = settings(
    max_examples=EXAMPLES,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
POOL = {"vmSize": "standard_d2s_v3", "virtualMachineConfiguration": MACHINE, "taskSlotsPerNode": 2}
TASK_IDS = st.sampled_from(["1", "2", "03", "Task", "other"])
ENDLESS = [{"name": "SIMULATED_SECONDS", "value": "1000000"}]
BRIEF = [{"name": "SIMULATED_SECONDS", "value": "0"}]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A signing client of a service whose nodes are simulated."""
    rule = Simulation("fixed", 0.5, failure_rate=0.3)
    with (
        batch_emulator.serve(simulate=rule, speed=20) as account,
        open_account(account.endpoint, account.name, account.key, timeout=60) as client,
    ):
        yield client


class Requests(RuleBasedStateMachine):
    """One pool and one job for each example, and five task ids."""

    client: httpx.Client
    numbers = itertools.count()

    @initialize(nodes=st.integers(0, 3), parallel=st.sampled_from([-1, 1]))
    def begin(self, nodes, parallel):
        self.name = f"example-{next(self.numbers)}"
        self.pool, self.job = f"/pools/{self.name}", f"/jobs/{self.name}"
        self.send("POST", "/pools", POOL | {"id": self.name, "targetDedicatedNodes": nodes})
        pool = {"id": self.name, "poolInfo": {"poolId": self.name}, "usesTaskDependencies": True}
        self.send("POST", "/jobs", pool | {"maxParallelTasks": parallel})

    def teardown(self):
        if hasattr(self, "name"):
            self.send("DELETE", self.job)
            self.send("DELETE", self.pool)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        answer = self.client.request(method, path, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer

    @rule(
        ids=st.lists(TASK_IDS, min_size=1, max_size=5),
        environment=st.sampled_from([ENDLESS, BRIEF, []]),
        depends_on=st.sampled_from(
            [None, None, {"taskIds": ["1"]}, {"taskIdRanges": [{"start": 2, "end": 3}]}]
        ),
        retries=st.integers(-1, 1),
    )
    def add_tasks(self, ids, environment, depends_on, retries):
        task = {"commandLine": "x", "environmentSettings": environment}
        task |= {"constraints": {"maxTaskRetryCount": retries}}
        task |= {"dependsOn": depends_on} if depends_on else {}
        self.send("POST", f"{self.job}/addtaskcollection", {"value": [task | {"id": each} for each in ids]})

    @rule(task=TASK_IDS, command=st.sampled_from(["terminate", "reactivate"]))
    def change_task(self, task, command):
        self.send("POST", f"{self.job}/tasks/{task}/{command}")

    @rule(task=TASK_IDS)
    def delete_task(self, task):
        self.send("DELETE", f"{self.job}/tasks/{task}")

    @rule(task=TASK_IDS, tag=st.sampled_from([None, "*", '"0x1"']))
    def replace_task(self, task, tag):
        constraints = {"constraints": {"maxTaskRetryCount": 1}}
        self.send("PUT", f"{self.job}/tasks/{task}", constraints, **({"If-Match": tag} if tag else {}))

    @rule(option=st.sampled_from(["requeue", "terminate", "wait"]))
    def disable_job(self, option):
        self.send("POST", f"{self.job}/disable", {"disableTasks": option})

    @rule()
    def enable_job(self):
        self.send("POST", f"{self.job}/enable")

    @rule(parallel=st.integers(-1, 2), priority=st.integers(-1000, 1000))
    def patch_job(self, parallel, priority):
        self.send("PATCH", self.job, {"maxParallelTasks": parallel, "priority": priority})

    @rule(nodes=st.integers(0, 3), option=st.sampled_from(["requeue", "terminate", "taskcompletion"]))
    def resize(self, nodes, option):
        self.send(
            "POST", f"{self.pool}/resize", {"targetDedicatedNodes": nodes, "nodeDeallocationOption": option}
        )

    @rule(
        number=st.integers(0, 2),
        command=st.sampled_from(
            ["reboot", "reimage", "disablescheduling", "enablescheduling", "deallocate", "start"]
        ),
    )
    def change_node(self, number, command):
        found = self.send("GET", f"{self.pool}/nodes").json()["value"]
        if number < len(found):
            self.send("POST", f"{self.pool}/nodes/{found[number]['id']}/{command}")

    @invariant()
    def states_are_legal(self):
        if hasattr(self, "name"):
            self.check_transition(JOB, self.send("GET", self.job).json())
            for task in self.list_tasks():
                self.check_transition(TASK, task)

    def check_transition(self, table: Table, resource: dict) -> None:
        if "previousState" in resource:
            assert resource["state"] in follow_passing(table, resource["previousState"])
        else:
            assert resource["state"] == "active"

    @invariant()
    def counts_are_those_of_the_list(self):
        """Time passes between two requests: they are compared if nothing happened in between."""
        if not hasattr(self, "name"):
            return
        for _ in range(100):
            before = self.counts()
            tasks = self.list_tasks()
            if before == self.counts():
                break
        else:
            raise AssertionError("the counts never rest")
        states = Counter(task["state"] for task in tasks)
        results = Counter(task["executionInfo"].get("result") for task in tasks)
        assert before == {
            "active": states["active"],
            "running": states["running"] + states["preparing"],
            "completed": states["completed"],
            "succeeded": results["success"],
            "failed": results["failure"],
        }

    def counts(self) -> dict[str, int]:
        return self.send("GET", f"{self.job}/taskcounts").json()["taskCounts"]

    def list_tasks(self) -> list[dict]:
        """All tasks, two a page, so that pages meet changes."""
        page = self.client.get(f"{self.job}/tasks", params={"maxresults": 2}).json()
        tasks = page["value"]
        while link := page.get("odata.nextLink"):
            page = follow(self.client, link).json()
            tasks += page["value"]
        return tasks


def follow_passing(table: Table, state: str) -> set[str]:
    """What may come after a state: the next ones, and what those lead to of which none is told afterwards."""
    after = set(table[state].values())
    while more := {end for passing in after & PASSING for end in table[passing].values()} - after:
        after |= more
    return after


def test_earnest_requests_in_any_order(client):
    """Commands that clients send never end in a 5xx or an illegal state, and the counts are always right."""
    Requests.client = client
    run_state_machine_as_test(Requests, settings=QUIETLY)
