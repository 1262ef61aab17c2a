"""What nobody should send: nonsense, and what is nearly right. It is refused in the service's words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import batch_emulator
from batch_emulator.app import ROUTES
from batch_emulator.node.simulation import Simulation
from bench.signing import open_account
from tests.waiting import wait_until

QUIETLY = settings(
    max_examples=25 * int(os.environ.get("RANDOM_REQUESTS_EXAMPLES", "5")),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MACHINE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}
POOL = {"vmSize": "standard_d2s_v3", "virtualMachineConfiguration": MACHINE, "taskSlotsPerNode": 2}
ENDLESS = [{"name": "SIMULATED_SECONDS", "value": "1000000"}]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A signing client of a service whose nodes are simulated, with what the paths of `EARNEST` name."""
    with (
        batch_emulator.serve(simulate=Simulation()) as account,
        open_account(account.endpoint, account.name, account.key, timeout=60) as client,
    ):
        client.post("/pools", json=POOL | {"id": "pool", "targetDedicatedNodes": 1})
        # Of the other one requests may take the node away.
        client.post("/pools", json=POOL | {"id": "lasting", "targetDedicatedNodes": 1})
        client.post("/jobs", json={"id": "job", "poolInfo": {"poolId": "pool"}, "usesTaskDependencies": True})
        client.post("/jobs/job/tasks", json={"id": "1", "commandLine": "x", "environmentSettings": ENDLESS})
        client.post("/jobschedules", json=SCHEDULE | {"id": "schedule"})
        wait_until(lambda: nodes_of(client), 30, "a node")
        yield client


def nodes_of(client: httpx.Client) -> list[dict]:
    """Those of the pool that no request resizes."""
    return client.get("/pools/lasting/nodes").json()["value"]


def check(answer: httpx.Response) -> None:
    """No 5xx (but the one that the service has for a client's haste); a refusal has a code and a message."""
    if answer.status_code < 400 or answer.request.method == "HEAD":
        assert answer.status_code < 500
        return
    error = answer.json()
    assert answer.status_code < 500 or error["code"] == "TooManyEnableAutoScaleRequests", answer.text
    assert error["message"]["value"]


WORDS = st.one_of(
    st.sampled_from(
        [
            "pool",
            "job",
            "task",
            "",
            "..",
            "a b",
            "%",
            "'",
            "ü",
            "x" * 80,
            "null",
            "0",
            "\N{GRINNING FACE}",
            "a\0",
        ]
    ),
    st.text(max_size=6),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS
)
NAMES = st.sampled_from(["id", "commandLine", "poolInfo", "poolId", "value", "constraints", "name", "start"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["$filter", "$select", "$expand", "maxresults", "$skiptoken", "recursive", "timeOut", "x"]
    ),
    st.one_of(
        WORDS,
        st.sampled_from(
            ["state eq 'active'", "id", "-1", "1", "WATV2:eA", "startswith(id,'a')", "state eq", "("]
        ),
    ),
    max_size=2,
)
HEADERS = st.dictionaries(
    st.sampled_from(["If-Match", "If-None-Match", "If-Modified-Since", "ocp-range", "client-request-id"]),
    st.sampled_from(["*", "0x8D", "bytes=0-1", "bytes=9-1", "Thu, 01 Jan 2099 00:00:00 GMT", "nonsense"]),
    max_size=2,
)
PATHS = st.sampled_from(sorted({path for _, path, _ in ROUTES} | {"/", "/nothing", "/jobs/a/b/c/d"}))


@QUIETLY
@given(
    data=st.data(), method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]), template=PATHS
)
def test_nonsense_is_refused_in_the_services_words(client, data, method, template):
    """Whatever is sent to whatever path: no 5xx, and a refusal has a code and a message."""
    path = "".join(
        f"/{quote(data.draw(WORDS), safe='')}" if part.startswith("{") else f"/{part}"
        for part in template.strip("/").split("/")
    )
    content = data.draw(
        st.one_of(st.just(b""), st.binary(max_size=20), VALUES.map(lambda value: json.dumps(value).encode()))
    )
    answer = client.request(
        method, path, content=content, params=data.draw(QUERIES), headers=data.draw(HEADERS)
    )
    check(answer)


AUTO_POOL = {"autoPoolSpecification": {"poolLifetimeOption": "job", "pool": POOL}}
FULL_TASK = {
    "id": "full",
    "commandLine": "x",
    "exitConditions": {"exitCodes": [{"code": 1, "exitOptions": {"dependencyAction": "satisfy"}}]},
    "resourceFiles": [{"httpUrl": "http://127.0.0.1/x", "filePath": "x"}],
    "outputFiles": [
        {
            "filePattern": "*",
            "destination": {"container": {"containerUrl": "http://127.0.0.1/c"}},
            "uploadOptions": {"uploadCondition": "tasksuccess"},
        }
    ],
    "environmentSettings": ENDLESS,
    "constraints": {"maxWallClockTime": "PT1H", "retentionTime": "P1D", "maxTaskRetryCount": 1},
    "multiInstanceSettings": {"numberOfInstances": 2, "coordinationCommandLine": "x"},
    "dependsOn": {"taskIds": ["a"], "taskIdRanges": [{"start": 1, "end": 2}]},
}
FULL_JOB = {
    "id": "spoiled",
    "poolInfo": AUTO_POOL,
    "constraints": {"maxWallClockTime": "P1D", "maxTaskRetryCount": 1},
    "jobManagerTask": {"id": "m", "commandLine": "x"},
    "jobPreparationTask": {"commandLine": "x", "constraints": {"maxTaskRetryCount": 1}},
    "jobReleaseTask": {"commandLine": "x", "maxWallClockTime": "PT1M"},
    "metadata": [{"name": "a", "value": "b"}],
}
SCHEDULE = {
    "id": "spoiled-schedule",
    "schedule": {"recurrenceInterval": "PT1M", "doNotRunUntil": "2099-01-01T00:00:00Z"},
    "jobSpecification": {name: value for name, value in FULL_JOB.items() if name != "id"},
}
FULL_POOL = POOL | {
    "id": "spoiled",
    "startTask": {"commandLine": "x", "maxTaskRetryCount": 1},
    "taskSchedulingPolicy": {"nodeFillType": "Pack"},
    "resizeTimeout": "PT5M",
    "networkConfiguration": {"subnetId": "x"},
    "userAccounts": [{"name": "u", "password": "p", "linuxUserConfiguration": {"uid": 1, "gid": 1}}],
}
FORMULA = {"autoScaleFormula": "$TargetDedicatedNodes = avg($PendingTasks.GetSample(2));"}
TIME = "2099-01-01T00:00:00Z"
EARNEST = [
    ("POST", "/pools", FULL_POOL),
    ("PATCH", "/pools/pool", {"startTask": FULL_POOL["startTask"], "metadata": FULL_JOB["metadata"]}),
    ("POST", "/pools/pool/resize", {"targetDedicatedNodes": 0, "resizeTimeout": "PT5M"}),
    ("POST", "/pools/pool/enableautoscale", FORMULA | {"autoScaleEvaluationInterval": "PT5M"}),
    ("POST", "/pools/pool/evaluateautoscale", FORMULA),
    ("POST", "/pools/pool/removenodes", {"nodeList": ["a"], "nodeDeallocationOption": "requeue"}),
    ("POST", "/pools/lasting/nodes/NODE/users", {"name": "u", "isAdmin": True, "expiryTime": TIME}),
    ("PUT", "/pools/lasting/nodes/NODE/users/u", {"password": "p", "sshPublicKey": "k"}),
    (
        "POST",
        "/pools/lasting/nodes/NODE/uploadbatchservicelogs",
        {"containerUrl": "http://127.0.0.1:1/c", "startTime": TIME, "endTime": TIME},
    ),
    (
        "POST",
        "/pools/lasting/nodes/NODE/disablescheduling",
        {"nodeDisableSchedulingOption": "taskcompletion"},
    ),
    ("POST", "/jobs", FULL_JOB),
    ("PATCH", "/jobs/job", {"constraints": FULL_JOB["constraints"], "priority": 1}),
    ("PUT", "/jobs/job", {"poolInfo": {"poolId": "pool"}, "metadata": FULL_JOB["metadata"]}),
    ("POST", "/jobs/job/tasks", FULL_TASK),
    ("POST", "/jobs/job/addtaskcollection", {"value": [FULL_TASK]}),
    ("PUT", "/jobs/job/tasks/1", {"constraints": FULL_TASK["constraints"]}),
    ("POST", "/jobschedules", SCHEDULE),
    ("PATCH", "/jobschedules/schedule", {"schedule": SCHEDULE["schedule"]}),
]


@QUIETLY
@given(data=st.data(), request=st.sampled_from(EARNEST))
def test_spoiled_bodies_are_refused_in_the_services_words(client, data, request):
    """A request with one value that is not what it should be: no 5xx, and a refusal says what is wrong."""
    method, path, body = request
    if "NODE" in path:
        path = path.replace("NODE", nodes_of(client)[0]["id"])
    answer = client.request(method, path, json=data.draw(spoiled(body)))
    check(answer)
    if answer.is_success and path in ("/pools", "/jobs", "/jobschedules"):
        client.delete(f"{path}/{body['id']}")


def spoiled(body: object) -> st.SearchStrategy:
    """The same with one part, at any depth, replaced by anything or, of an object, left out."""
    if isinstance(body, dict) and body:
        return st.sampled_from(sorted(body)).flatmap(
            lambda name: st.one_of(
                spoiled(body[name]).map(lambda value: body | {name: value}),
                VALUES.map(lambda value: body | {name: value}),
                st.just({key: value for key, value in body.items() if key != name}),
            )
        )
    if isinstance(body, list) and body:
        return spoiled(body[0]).map(lambda value: [value, *body[1:]])
    return VALUES
