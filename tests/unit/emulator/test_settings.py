"""Each setting has an effect: what is observed differs from what the default gives.

Here are the settings of the pure core, and that none is forgotten; those that need a running service are in
`tests/integration/test_settings.py`. Both make each observation twice, with the setting and without it, so
that an ignored setting fails.
"""

from __future__ import annotations

import inspect
import logging
import os
from dataclasses import fields, replace
from pathlib import Path

import pytest

import batch_emulator
from batch_emulator import Settings
from batch_emulator.__main__ import _parser, read_settings
from batch_emulator.errors import BatchError
from batch_emulator.faults import AllocationFault, Faults, RequestFault
from batch_emulator.node.simulation import Simulation
from batch_emulator.scheduler import autoscaling, jobs, node_faults, nodes, pools, schedules
from batch_emulator.settings import KEY_VARIABLE
from tests.integration import test_settings as served
from tests.unit.emulator.driver import Driver

SCHEDULE = {
    "id": "schedule",
    "schedule": {"doNotRunUntil": "2100-01-01T00:00:00Z"},
    "jobSpecification": {"poolInfo": {"poolId": "pool"}},
}


def pending_seconds(driver: Driver, *functions: str) -> set[float]:
    """How long the pending calls of these functions are to wait."""
    return {timer.seconds for _, timer in driver.timers if timer.function.__name__ in functions}


def with_node(settings: dict, **spec) -> Driver:
    driver = Driver(**settings)
    driver.add_pool(**spec)
    driver.timers.clear()
    return driver


def allocation(settings: dict) -> set[float]:
    driver = Driver(**settings)
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    return pending_seconds(driver, "_allocate")


def boot(settings: dict) -> set[float]:
    """Of a node in `creating`, and in `starting`."""
    driver = Driver(**settings)
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    driver.pass_seconds(0.25)
    creating = pending_seconds(driver, "boot")
    driver.pass_seconds(sum(creating))
    return creating | pending_seconds(driver, "run_start_task")


def reboot(settings: dict) -> set[float]:
    """Of a node that reboots, and of one that is deallocated."""
    driver = with_node(settings, node_count=2)
    for node, event in zip(driver.nodes, ("reboot", "deallocate"), strict=True):
        driver.do(nodes.interrupt_node, "pool", node.id, "requeue", event)
    assert len(driver.timers) == 2
    return pending_seconds(driver, "boot", "_deallocated")


def removal(settings: dict) -> set[float]:
    driver = with_node(settings)
    driver.do(nodes.leave, driver.nodes[0], "requeue")
    return pending_seconds(driver, "gone")


def deletion(settings: dict) -> set[float]:
    """Of a job, a job schedule and a pool."""
    driver = with_node(settings, node_count=0)
    driver.add_job()
    driver.do(schedules.add_schedule, SCHEDULE)
    driver.timers.clear()
    driver.do(jobs.delete_job, "job")
    driver.do(schedules.delete_schedule, "schedule")
    driver.do(pools.delete_pool, "pool")
    assert len(driver.timers) == 3
    return {timer.seconds for _, timer in driver.timers}


def transition(settings: dict) -> set[float]:
    """Of a job that is disabled, and of one that is terminated."""
    driver = with_node(settings)
    driver.add_job("job")
    driver.do(jobs.disable_job, "job", "requeue")
    seconds = pending_seconds(driver, "_time_is_up")
    driver.pass_seconds(10)
    driver.timers.clear()
    driver.do(jobs.terminate_job, "job", None)
    assert len(driver.timers) == 1
    return seconds | {timer.seconds for _, timer in driver.timers}


def replacement(settings: dict) -> set[float]:
    driver = with_node(settings, node_count=0, targetLowPriorityNodes=1)
    driver.do(node_faults.strike_node, "pool", driver.nodes[0].id, "preempt", {})
    return pending_seconds(driver, "_replace")


def dedicated_nodes(settings: dict) -> int:
    return len(with_node(settings, node_count=2).nodes)


def spot_nodes(settings: dict) -> int:
    return len(with_node(settings, node_count=0, targetLowPriorityNodes=2).nodes)


def second_pool(settings: dict) -> str | None:
    driver = with_node(settings)
    return refusal(lambda: driver.do(pools.add_pool, {"id": "second", "vmSize": "standard_d2s_v3"}))


def second_job(settings: dict) -> str | None:
    driver = with_node(settings)
    driver.add_job()
    return refusal(lambda: driver.add_job("second"))


def refusal(command) -> str | None:
    """The code of the error that a command ends with."""
    try:
        command()
    except BatchError as error:
        return error.code
    return None


ONE_NODE = Faults(allocations=(AllocationFault(nodes=1),))

# Setting -> value, what is observed, what is seen with that value.
CORE = {
    "pace": ("azure", allocation, {30.0}),
    "node_allocation_seconds": (7.0, allocation, {7.0}),
    "node_boot_seconds": (7.0, boot, {7.0}),
    "node_reboot_seconds": (7.0, reboot, {7.0}),
    "node_removal_seconds": (7.0, removal, {7.0}),
    "deletion_seconds": (7.0, deletion, {3.5, 7.0}),
    "job_transition_seconds": (7.0, transition, {7.0}),
    "node_replacement_seconds": (7.0, replacement, {7.0}),
    "core_quota": (2, dedicated_nodes, 1),
    "spot_core_quota": (2, spot_nodes, 1),
    "pool_quota": (1, second_pool, "PoolQuotaReached"),
    "active_job_quota": (1, second_job, "ActiveJobAndScheduleQuotaReached"),
    "faults": (ONE_NODE, dedicated_nodes, 1),
}


@pytest.mark.parametrize("name", CORE)
def test_setting_has_an_effect(name):
    """With the setting something else is observed than without it."""
    value, observe, expected = CORE[name]
    assert observe({name: value}) == expected
    assert observe({}) != expected


@pytest.mark.parametrize("seconds", [7.0, 0.0, 0.3, 90.0])
@pytest.mark.parametrize("pace", ["azure", "instant"])
def test_pace_leaves_what_is_set(pace, seconds):
    """A time that is set itself stays, also where it is that of another pace; a pace that is changed takes
    its times along."""
    changed = replace(Settings(pace=pace, node_boot_seconds=seconds), pace="person")
    assert changed.node_boot_seconds == seconds
    assert Settings(pace=pace, node_boot_seconds=seconds).node_boot_seconds == seconds
    assert replace(Settings(pace=pace), pace="person") == Settings()


@pytest.mark.parametrize(
    ("change", "request_body"),
    [
        (pools.change_pool, {"metadata": []}),
        (pools.replace_pool_properties, {"metadata": []}),
        (autoscaling.enable, {"autoScaleFormula": "$TargetDedicatedNodes=0"}),
    ],
)
def test_pool_that_wants_no_nodes_is_resizing_until_somebody_changes_it(change, request_body):
    """There is nothing to allocate: it shows that for a while, as recorded, and keeps nobody waiting."""
    driver = Driver(pace="azure")
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3"})
    assert driver.world.pool("pool").allocation_state == "resizing"
    driver.do(change, "pool", request_body)
    assert driver.world.pool("pool").allocation_state == "steady"


def test_pool_that_wants_no_nodes_can_be_resized_once():
    """Nobody waits for a resize that has nothing to do, and everybody for one that has."""
    driver = Driver(pace="azure")
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3"})
    driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 1})
    with pytest.raises(BatchError, match=r"PoolBeingResized|being resized"):
        driver.do(pools.resize_pool, "pool", {"targetDedicatedNodes": 2})


def test_instant_pace_takes_no_time():
    """With it a pool's node takes tasks without that time passes."""
    driver = Driver(pace="instant")
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
    driver.pass_seconds(0.001)
    assert [node.state for node in driver.nodes] == ["idle"]


def test_each_setting_is_observed():
    """Each field of Settings has an observation, here or with a running service."""
    assert {*CORE, *served.SERVED} == {each.name for each in fields(Settings)}


def test_each_parameter_of_serve_is_observed():
    """`serve` takes settings as one object and as single changes, and nothing else; both are observed."""
    assert (
        set(inspect.signature(batch_emulator.serve).parameters) == set(served.WAYS) == {"settings", "changes"}
    )


# Option of the command line -> what is given to it, the setting that it makes.
OPTIONS = {
    "--host": ("127.0.0.2", {"host": "127.0.0.2"}),
    "--port": ("10099", {"port": 10099}),
    "--account": ("other", {"account": "other"}),
    "--cert": ("cert.pem", {"certificate": Path("cert.pem")}),
    "--key-file": ("key.pem", {"certificate_key": Path("key.pem")}),
    "--oauth": ("basic", {"oauth": "basic"}),
    "--location": ("kept", {"location": Path("kept")}),
    "--speed": ("60", {"speed": 60.0}),
    "--simulate": ("uniform:3:0.5", {"simulate": Simulation("uniform", 3.0, 0.5)}),
    "--pace": ("instant", {"pace": "instant"}),
    "--containers": ("host", {"containers": "host"}),
}
FILES_AND_LOGS = {"--help", "--faults", "--debug"}


@pytest.mark.parametrize("option", OPTIONS)
def test_option_makes_its_setting(option):
    """An option of the command line changes its setting and no other."""
    text, changed = OPTIONS[option]
    assert read_settings([option, text]) == replace(read_settings([]), **changed)
    assert read_settings([]) != replace(read_settings([]), **changed)


def test_each_option_is_observed():
    """No option of the command line is without a test."""
    known = {action.option_strings[-1] for action in _parser()._actions}
    assert known == {*OPTIONS, *FILES_AND_LOGS}


def test_command_line_without_options_is_the_default():
    """Without options the settings are those of the documentation's table."""
    assert read_settings([]) == Settings()


def test_key_is_read_from_the_environment(monkeypatch):
    """The account's key comes from its variable, which is taken away."""
    monkeypatch.setenv(KEY_VARIABLE, "b3RoZXI=")
    assert read_settings([]) == Settings(key="b3RoZXI=")
    assert KEY_VARIABLE not in os.environ


def test_faults_are_read_from_a_file(tmp_path):
    """`--faults` names a JSON file of rules."""
    faults = Faults(requests=(RequestFault(status=503),))
    (tmp_path / "faults.json").write_text(faults.model_dump_json(by_alias=True, exclude_none=True))
    assert read_settings(["--faults", str(tmp_path / "faults.json")]).faults == faults


@pytest.mark.parametrize(("arguments", "level"), [([], logging.INFO), (["--debug"], logging.DEBUG)])
def test_debug_logs_each_request(arguments, level, monkeypatch):
    """`--debug` sets the level of the service's own log, at which each request is written."""
    levels = []
    monkeypatch.setattr("batch_emulator.__main__.set_up_log", levels.append)
    read_settings(arguments)
    assert levels == [level]
