"""Operations on Batch tasks."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, json_answer, plain
from batch_emulator.api.bodies.tasks import TaskAdd, TaskReplace, check_exit_conditions, parse_collection
from batch_emulator.api.call import Call, read_body, read_object
from batch_emulator.api.candidates import task_candidates
from batch_emulator.api.fields import TASKS
from batch_emulator.api.listing import list_page, read_filter, start_key
from batch_emulator.api.views.tasks import render_subtask, render_task
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Job, Task, Wire, key
from batch_emulator.resources.runs import Instance
from batch_emulator.scheduler import tasks
from batch_emulator.scheduler.world import World
from batch_emulator.ticks import etag, format_ticks


def add_task(call: Call) -> Response:
    body = read_body(call, TaskAdd, "tasks")
    job = tasks.require_open_job(call.engine.world, call.parameters["job"])
    task = call.do(_add, job, _retries(job), body)
    return created(call, task, f"{call.url}/{task.id}")


def _retries(job: Job) -> int:
    return job.spec.get("constraints", {}).get("maxTaskRetryCount", 0)


def _add(world: World, job: Job, retries: int, body: TaskAdd) -> Task:
    spec = body.to_wire(retries)
    check_exit_conditions(spec, job.spec)
    return tasks.add_to_job(world, job, spec)


def add_task_collection(call: Call) -> Response:
    """Add up to 100 tasks; each is accepted or refused by itself."""
    entries = [(entry.get("id", ""), _read(call, entry)) for entry in parse_collection(call.body)]
    job = tasks.require_open_job(call.engine.world, call.parameters["job"])
    results = call.do(_add_each, job, f"{call.base_url}/jobs/{job.id}/tasks/", entries)
    return json_answer(call, "taskaddresult", {"value": results})


def _read(call: Call, entry: Wire) -> TaskAdd | BatchError:
    """A task, or what is wrong with it; 400 for the whole request where it cannot be read at all."""
    try:
        return read_object(call, TaskAdd, entry, "tasks")
    except BatchError as error:
        if error.code == "InvalidRequestBody":
            raise
        return error


def _add_each(
    world: World, job: Job, url: str, entries: list[tuple[str, TaskAdd | BatchError]]
) -> list[Wire]:
    retries = _retries(job)
    return [_add_one(world, job, retries, url, task_id, body) for task_id, body in entries]


def _add_one(
    world: World, job: Job, retries: int, url: str, task_id: str, body: TaskAdd | BatchError
) -> Wire:
    """What became of one task. `url` is that of the job's tasks."""
    try:
        if isinstance(body, BatchError):
            raise body
        task = _add(world, job, retries, body)
    except BatchError as error:
        return {"status": "ClientError", "taskId": task_id, "error": _inner_error(error)}
    return {
        "status": "Success",
        "taskId": task.id,
        "eTag": etag(task.modified),
        "lastModified": format_ticks(task.modified),
        "location": url + task.id,
    }


def _inner_error(error: BatchError) -> Wire:
    wire: Wire = {"code": error.code, "message": {"lang": "en-US", "value": error.message}}
    if error.values:
        wire["values"] = [{"key": name, "value": value} for name, value in error.values]
    return wire


def list_tasks(call: Call) -> Response:
    job = call.engine.world.job(call.parameters["job"])
    wanted = read_filter(call, TASKS)
    candidates = task_candidates(call.store.tasks(key(job.id)), wanted, start_key(call))
    return list_page(
        call, "tasks", candidates, lambda task: render_task(task, job, call.store, call.base_url), wanted
    )


def get_task(call: Call) -> Response:
    task = _task(call)
    job = call.engine.world.job(call.parameters["job"])
    return element(call, "tasks", task, render_task(task, job, call.store, call.base_url))


def _task(call: Call) -> Task:
    return call.engine.world.task(call.parameters["job"], call.parameters["task"])


def list_subtasks(call: Call) -> Response:
    """The instances of a multi-instance task beside its primary; of any other task there are none."""
    task = _task(call)
    subtasks = (task.instances or [])[1:]
    candidates = ((f"{each.id:09d}", each) for each in subtasks)
    after = start_key(call) or ""
    job = call.engine.world.job(call.parameters["job"])

    def render(instance: Instance) -> Wire:
        return render_subtask(instance, task, job, call.store, call.base_url)

    return list_page(call, "subtaskinfo", (each for each in candidates if each[0] > after), render, None)


def delete_task(call: Call) -> Response:
    call.check(_task(call))
    call.do(tasks.delete_task, call.parameters["job"], call.parameters["task"])
    return plain(200)


def replace_task(call: Call) -> Response:
    body = read_body(call, TaskReplace).to_wire()
    call.check(_task(call))
    constraints = body.get("constraints", {})
    return changed(
        call, call.do(tasks.update_task, call.parameters["job"], call.parameters["task"], constraints)
    )


def terminate_task(call: Call) -> Response:
    call.check(_task(call))
    return changed(call, call.do(tasks.terminate_task, call.parameters["job"], call.parameters["task"]), 204)


def reactivate_task(call: Call) -> Response:
    call.check(_task(call))
    task = call.do(tasks.reactivate_task, call.parameters["job"], call.parameters["task"])
    return changed(call, task, 204, named=False)


_TASK = "/jobs/{job}/tasks/{task}"

ROUTES = [
    ("POST", "/jobs/{job}/tasks", add_task),
    ("POST", "/jobs/{job}/addtaskcollection", add_task_collection),
    ("GET", "/jobs/{job}/tasks", list_tasks),
    ("GET", _TASK, get_task),
    ("DELETE", _TASK, delete_task),
    ("PUT", _TASK, replace_task),
    ("GET", f"{_TASK}/subtasksinfo", list_subtasks),
    ("POST", f"{_TASK}/terminate", terminate_task),
    ("POST", f"{_TASK}/reactivate", reactivate_task),
]
