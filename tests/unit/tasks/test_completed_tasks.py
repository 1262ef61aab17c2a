"""How Batch tasks have ended, as their lists in JSON say it."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from tasks.azure import plain_batch
from tasks.errors import JobError
from tasks.spec.file_results import describe_problem
from tasks.spec.work import WorkItems, make_item
from tasks.watch import early_outputs
from tasks.watch.completed_tasks import NOTHING_SEEN, Seen, _read_result
from tasks.watch.early_outputs import EarlyOutputs
from tasks.watch.job_watch import refuse_lost_container
from tasks.watch.progress import Counts

ENDED = {
    "id": "task-1",
    "stateTransitionTime": "2026-11-26T18:00:02.5Z",
    "executionInfo": {
        "startTime": "2026-11-26T18:00:00Z",
        "endTime": "2026-11-26T18:00:02Z",
        "exitCode": 0,
        "retryCount": 1,
    },
    "nodeInfo": {"nodeId": "tvm-1"},
}
FAILURE = {
    "category": "UserError",
    "code": "FailureExitCode",
    "message": "The task exited with an exit code representing a failure",
    "details": [
        {"name": "Message", "value": "The task exited with an exit code representing a failure"},
        {"name": "AdditionalErrorCode", "value": "FailureExitCode?sig=secret"},
    ],
}


def test_a_task_that_succeeded_tells_where_and_how_long_it_ran():
    """Exit code, node, seconds and tries are those of its last run."""
    result = _read_result(ENDED)
    assert (result.task_id, result.node_id, result.exit_code) == ("task-1", "tvm-1", 0)
    assert (result.seconds, result.tries, result.succeeded) == (2.0, 2, True)
    assert (result.category, result.code, result.message) == ("", "", "")


def test_a_task_that_failed_says_why_once_and_without_signatures():
    """A detail that repeats the message is left out; one that never ran has no exit code and no time."""
    failed = {**ENDED["executionInfo"], "exitCode": 3, "failureInfo": FAILURE}  # pyright: ignore
    result = _read_result({**ENDED, "executionInfo": failed})
    assert (result.category, result.code, result.succeeded) == ("UserError", "FailureExitCode", False)
    assert result.message == f"{FAILURE['message']}; AdditionalErrorCode: FailureExitCode?sig=REDACTED"
    unrun = _read_result({**ENDED, "executionInfo": {"failureInfo": FAILURE}, "nodeInfo": None})
    assert (unrun.exit_code, unrun.seconds, unrun.node_id) == (None, None, "")


def test_the_wait_goes_on_where_early_looks_have_ended_unless_one_saw_a_failure():
    """What the early looks saw to succeed isn't listed again; a failure among it is for the wait to tell."""
    early = EarlyOutputs("job", "output", None, size=1)
    result = _read_result(ENDED)
    early.tasks.add(0, result)
    early.latest = result.changed_at
    assert early.seen == Seen(b"\1", result.changed_at)
    early.has_failed = True
    assert early.seen == NOTHING_SEEN


def test_one_task_without_the_container_of_outputs_ends_the_wait_for_all():
    """Every other task would run for nothing as well; what only one program lacks ends nothing."""
    result = _read_result(ENDED)
    refuse_lost_container([result, replace(result, code="FileUploadMiscError")], Counts(2, 0, 1, 1, 1))
    with pytest.raises(JobError, match=r"1 running(.|\n)*gone(.|\n)*FileUploadContainerNotFound: not found"):
        refuse_lost_container(
            [result, replace(result, code="FileUploadContainerNotFound", message="not found")],
            Counts(2, 0, 1, 1, 1),
        )


@pytest.mark.parametrize(
    ("code", "said"), [("TaskEnded", "did not run to its end ("), ("BlobNotFound", "did not run (")]
)
def test_a_program_that_was_ended_did_run(code, said):
    """Other tasks without an exit code have a start as well, which is that of their preparation."""
    without = {**ENDED["executionInfo"], "failureInfo": {"category": "UserError", "code": code}}  # pyright: ignore
    del without["exitCode"]
    assert describe_problem(_read_result({**ENDED, "executionInfo": without}), False).startswith(said)


def test_a_long_list_is_read_in_several_early_looks(monkeypatch):
    """Each goes on where time was over for the one before; then there is another list."""
    items = WorkItems(make_item(f"{name}.txt", f"{name}.out", "0a" * 16, "recipe") for name in "abc")
    pages, asked = [[{**ENDED, "id": item.task_id}] for item in items], []

    def send(_client, request):
        asked.append(request.url)
        number = int(request.url) if request.url.isdecimal() else 0
        link = {"odata.nextLink": str(number + 1)} if number + 1 < len(pages) else {}
        return {"value": pages[number], **link}

    monkeypatch.setattr(plain_batch, "_send", send)
    monkeypatch.setattr(early_outputs, "batch_client", lambda _what: nullcontext())
    monkeypatch.setattr(early_outputs, "glance", lambda: nullcontext(Spent()))
    early = EarlyOutputs("job", "output", None, size=100)
    for count in range(1, len(pages) + 1):
        assert early.latest is None
        early._list_completed(items)
        assert [*early.pending] == [*range(count)]
    assert early.latest == _read_result(ENDED).changed_at
    assert asked[1:] == ["1", "2"]


class Spent:
    """A deadline of which more than half is over as soon as anything was asked."""

    def __init__(self):
        self.seconds = iter((4.0, 1.0))

    @property
    def seconds_left(self):
        return next(self.seconds)
