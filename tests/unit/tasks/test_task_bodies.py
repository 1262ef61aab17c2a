"""The bodies of Batch tasks, and what is made of the service's answers to them."""

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from tasks.azure.sas import Signer, validity, write_container_url
from tasks.batch_tasks import ids_to_send_again
from tasks.bodies.batch_tasks import TaskPlan, build_common, build_task
from tasks.errors import JobError, RefusedError
from tasks.spec.command_line import build_command
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunSpec
from tasks.spec.work import WorkItem

ITEM = WorkItem("sub/a b.txt", "sub/a b_OUTPUT.txt", "5eed", b"\x5e\xed")
SIGNER = Signer(
    "acc",
    "https://acc.blob.core.windows.net",
    *validity(datetime(2026, 1, 1, tzinfo=timezone.utc), 60),
    "c2Vj",
)
URL = write_container_url(SIGNER, "output-run")


def body(command: str, application: str | None = None) -> dict:
    spec = RunSpec(inputs="in", application="app.py", command=command, max_task_retry_count=2)
    plan = TaskPlan(names_of_run("run"), spec, build_command(command, "app.py", False), application)
    return build_task(ITEM, plan, SIGNER, URL, build_common(plan, SIGNER))


def test_the_service_brings_the_input_and_fetches_the_output():
    """The input comes by a signed URL under its own name; the output's blob says what made it."""
    task = body("cp {input} {output}")
    (source,) = task["resourceFiles"]
    assert source["filePath"] == "inputs/sub/a b.txt"
    assert source["httpUrl"].startswith("https://acc.blob.core.windows.net/input-run/5eed/sub/a%20b.txt?")
    output = task["outputFiles"][0]
    assert output["filePattern"] == "outputs/a b_OUTPUT.txt"
    assert output["destination"]["container"] == {
        "path": "sub/a b_OUTPUT.txt",
        "containerUrl": URL,
        "uploadHeaders": [{"name": "x-ms-meta-source", "value": "5eed"}],
    }
    assert output["uploadOptions"] == {"uploadCondition": "tasksuccess"}
    assert task["constraints"] == {"maxTaskRetryCount": 2}


def test_what_a_failed_task_printed_outlives_its_node():
    """Both streams go to storage if the task fails."""
    logs = body("cp {input} {output}")["outputFiles"][1:]
    assert [log["filePattern"] for log in logs] == ["../stdout.txt", "../stderr.txt"]
    assert [log["destination"]["container"]["path"] for log in logs] == [
        ".logs/sub-a-b-txt-5eed/stdout.txt",
        ".logs/sub-a-b-txt-5eed/stderr.txt",
    ]
    assert {log["uploadOptions"]["uploadCondition"] for log in logs} == {"taskfailure"}
    headers = [log["destination"]["container"]["uploadHeaders"] for log in logs]
    assert headers == [[{"name": "x-ms-meta-input", "value": "sub/a%20b.txt"}]] * 2


def test_an_application_that_the_nodes_lack_comes_with_each_task():
    """On a pool of others each task gets its own copy of the program."""
    files = body("python3 {application} {input}", "app.py")["resourceFiles"]
    assert [file["filePath"] for file in files] == ["inputs/sub/a b.txt", "application/app.py"]


def test_no_signature_is_outside_of_the_files_urls():
    """Neither the command line nor the environment has anything secret."""
    task = body("cp {input} {output}")
    assert "sig=" not in json.dumps([task["commandLine"], task["environmentSettings"], task["id"]])


def answer(status: str, code: str | None = None) -> dict[str, Any]:
    error = {
        "code": code,
        "message": {"value": "No.\nRequestId:1"},
        "values": [{"key": "Reason", "value": "why"}],
    }
    return {"status": status, "taskId": "t1", **({"error": error} if code else {})}


@pytest.mark.parametrize(
    ("result", "again"),
    [
        (answer("Success"), []),
        (answer("success"), []),
        (answer("ClientError", "TaskExists"), []),
        (answer("clienterror", "TaskExists"), []),
        (answer("ServerError", "InternalError"), ["t1"]),
    ],
)
def test_a_task_that_exists_is_done_and_a_server_s_fault_is_sent_again(result, again):
    """Whatever the case of the status, only what the service failed at is sent again."""
    assert list(ids_to_send_again([result], "job")) == again


@pytest.mark.parametrize(
    ("code", "kind"), [("InvalidPropertyValue", RefusedError), ("JobCompleted", JobError)]
)
def test_a_task_that_is_refused_is_an_error_with_the_reason(code, kind):
    """A client error that isn't `TaskExists` ends the run, naming task, code and reason."""
    with pytest.raises(kind, match=f"t1 of the job job: {code}: No.; Reason: why"):
        list(ids_to_send_again([answer("ClientError", code)], "job"))
