"""The rules of faults: what they may say, and how the dice fall."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from batch_emulator.faults import (
    Faults,
    RequestFault,
    StartTaskFault,
)
from batch_emulator.faults.injector import Injector


def fates(seed: int, count: int, other: int = 0) -> list[bool]:
    """Which of `count` requests fail, with `other` requests of another operation before each."""
    rule = RequestFault(operations=["get_task"], rate=0.3, status=500)
    unrelated = RequestFault(operations=["get_job"], rate=0.5, status=500)
    injector = Injector(Faults(seed=seed, requests=[rule, unrelated]))
    struck = []
    for _ in range(count):
        for _ in range(other):
            injector.meet_request("get_job")
        struck.append(injector.meet_request("get_task").end is not None)
    return struck


def test_dice_fall_the_same_for_the_same_seed():
    """The n-th request of an operation has the same fate each time, whatever comes between; seeds differ."""
    assert fates(1, 200) == fates(1, 200, other=3)
    assert fates(1, 200) != fates(2, 200)
    assert 30 <= sum(fates(1, 200)) <= 90


def test_skip_and_times():
    """A rule lets the first occasions pass, and strikes no more often than it may."""
    injector = Injector(Faults(requests=[RequestFault(skip=2, times=2, status=503)]))
    assert [injector.meet_request("get_job").end is not None for _ in range(6)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert injector.struck()["requests"] == [2]


def test_delays_add_up_and_the_first_end_counts():
    """All rules for a request count: their delays together, and the first that ends it."""
    slow = RequestFault(latency_seconds=0.5)
    injector = Injector(
        Faults(requests=[slow, RequestFault(code="TooManyRequests"), RequestFault(drop="after"), slow])
    )
    fate = injector.meet_request("get_job")
    assert fate.latency_seconds == 1
    assert fate.end.code == "TooManyRequests"


@pytest.mark.parametrize(
    "document",
    [
        {"requests": [{}]},
        {"requests": [{"code": "NoSuchCode"}]},
        {"requests": [{"status": 200}]},
        {"requests": [{"rate": 1.5, "status": 500}]},
        {"nodes": [{"event": "explode"}]},
        {"allocations": [{"code": "NoSuchError"}]},
        {"disks": [{}]},
        {"disks": [{"full": True, "bytesPerSecond": 1}]},
        {"unknown": []},
    ],
)
def test_senseless_rules_are_refused(document):
    """A rule that could do nothing, or names what the service does not have, is an error."""
    with pytest.raises(ValidationError):
        Faults.model_validate(document)


def test_rules_in_json_and_in_python_are_alike():
    """Rules are spelled as on the wire in JSON, and as in Python in Python."""
    json = {"requests": [{"status": 429, "retryAfterSeconds": 2}], "startTasks": [{"poolIds": ["p"]}]}
    python = Faults(
        requests=[RequestFault(status=429, retry_after_seconds=2)],
        start_tasks=[StartTaskFault(pool_ids=["p"])],
    )
    assert Faults.model_validate(json) == python
