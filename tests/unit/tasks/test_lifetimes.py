"""Nothing runs out before what uses it may need it: signatures of start tasks, Batch tasks, bundles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from flows.renewing import Renewer
from tasks.azure import sas
from tasks.azure.sas import (
    ENTRA_MAX_SECONDS,
    Signer,
    is_lasting,
    read_blob_url,
    read_expiry,
    validity,
    why_too_short,
)
from tasks.batch_tasks import write_container_url
from tasks.bodies.batch_tasks import TaskPlan, build_common, build_task
from tasks.bodies.bundles import build_bundle_task, build_manifest, build_runner_files, sign_outcomes
from tasks.bodies.pools import build_pool
from tasks.bodies.start_tasks import build_start_task
from tasks.extra_files import UploadedFile
from tasks.images import Image
from tasks.jobs import Job
from tasks.plans import Plan
from tasks.pools import Pool
from tasks.spec.bundles import make_bundle
from tasks.spec.command_line import build_command
from tasks.spec.lifetimes import GUARD_SECONDS, seconds_to_look
from tasks.spec.naming import names_of_run
from tasks.spec.ownership import Ownership
from tasks.spec.run_spec import RunSpec
from tasks.spec.work import make_item
from tasks.watch.lease_formula import build_lease

NOW = datetime(2026, 11, 26, tzinfo=timezone.utc)
ACCOUNT = "https://acc.blob.core.windows.net"
NAMES = names_of_run("run")
IMAGE = Image("canonical", "ubuntu-24_04-lts", "server", "latest", "batch.node.ubuntu 24.04")
DAY = 24 * 3600.0
# Answers of uploads, and with them looks, may be as late as this.
LATE_SECONDS = 600.0


class Clock(datetime):
    """A clock that stands where it was set."""

    seconds = 0.0

    @classmethod
    def now(cls, tz=None) -> datetime:
        return NOW + timedelta(seconds=cls.seconds)


@pytest.mark.parametrize("most", [None, ENTRA_MAX_SECONDS], ids=["account key", "Entra ID"])
@pytest.mark.parametrize("timeout_seconds", [60.0, 1200.0, DAY, 6 * DAY])
def test_whatever_begins_while_inputs_are_uploaded_is_signed_for(monkeypatch, timeout_seconds, most):
    """However long uploads take, what waits begins with a signature that lasts until its job ends; and
    signatures are renewed no more often than each few hours."""
    renewer, signed = make_renewer(monkeypatch, timeout_seconds, most)
    renewer.note_added()
    days = 3
    while Clock.seconds < days * DAY:
        # The last moment before the next look.
        Clock.seconds += seconds_to_look(timeout_seconds) + LATE_SECONDS
        needed = Clock.now() + timedelta(seconds=timeout_seconds + GUARD_SECONDS)
        assert signed["tasks"][-1] >= needed
        assert signed["pool"][-1] >= needed
        renewer.look([])
    renewer.finish([])
    for renewed in map(len, signed.values()):
        assert 1 < renewed <= days * DAY / 3600
        assert most is not None or renewed <= days * 3


def make_renewer(
    monkeypatch: pytest.MonkeyPatch, timeout_seconds: float, most: float | None
) -> tuple[Renewer, dict[str, list[datetime]]]:
    """A renewer at the beginning of the clock's time, and until when it has signed what, each time."""
    monkeypatch.setattr(sas, "datetime", Clock)
    monkeypatch.setattr(Clock, "seconds", 0.0)
    monkeypatch.setattr("flows.renewing.time", SimpleNamespace(monotonic=lambda: Clock.seconds))

    def sign() -> datetime:
        return validity(Clock.now(), timeout_seconds, most)[1]

    def extend_pool(pool: Pool, *_: Any) -> Pool:
        # As the step does.
        if not is_lasting(pool.signed_until, timeout_seconds):
            signed["pool"].append(sign())
        return replace(pool, signed_until=signed["pool"][-1])

    signed = {"tasks": [sign()], "pool": [sign()]}
    monkeypatch.setattr("flows.renewing.extend_job", lambda *_: True)
    monkeypatch.setattr("flows.renewing.extend_pool", extend_pool)
    monkeypatch.setattr("flows.renewing.renew_tasks", lambda *_: signed["tasks"].append(sign()) or 0)
    spec = RunSpec(inputs="in", command="cat {input}", timeout_seconds=timeout_seconds)
    plan = Plan(spec, NAMES, [], None, True, None)
    job = Job("job", NOW)
    pool = Pool("pool", is_own=True, signed_until=sign())
    return Renewer(plan, make_plan(), job, pool, None, looked_seconds=0.0), signed


def make_signer(**key: Any) -> Signer:
    return Signer("acc", ACCOUNT, *validity(NOW, 1200), **key)


def find_signatures(body: Any) -> Iterator[str]:
    """Whatever has a signature, wherever it is in a body."""
    if isinstance(body, dict):
        body = list(body.values())
    for part in body if isinstance(body, (list, tuple)) else [body]:
        if isinstance(part, (dict, list, tuple)):
            yield from find_signatures(part)
        elif isinstance(part, str) and "sig=" in part:
            yield part


def make_plan() -> TaskPlan:
    own = {"http_url": f"{ACCOUNT}/shared/x.bin"}
    require_all = {"storage_container_url": f"{ACCOUNT}/models", "file_path": "models"}
    spec = RunSpec(inputs="in", command="cat {input}", task={"files": [own, require_all]}, keep_logs="all")
    runner = (UploadedFile("bundle/run_bundle.py", "run_bundle.py", "00"),)
    return TaskPlan(NAMES, spec, build_command(spec.command, None), "1234/app.py", runner=runner)


def test_every_signature_that_is_handed_out_is_the_signer_s():
    """None of start task, Batch task, bundle, manifest and outcomes ends before the others."""
    signer, plan = make_signer(account_key="c2VjcmV0"), make_plan()
    common, url = build_common(plan, signer), write_container_url(signer, "output")
    items = [make_item(f"{name}.txt", f"{name}.out", name * 32, "recipe") for name in "ab"]
    tasks = [build_task(item, plan, signer, url, common) for item in items]
    runner = build_runner_files(plan.runner, NAMES, "job", "task", signer)
    outcomes = sign_outcomes(signer, NAMES, "outcomes", url)
    bundle = build_bundle_task(make_bundle(items), tasks, runner, common, "job", url)
    manifest = build_manifest(tasks, outcomes, at_once=1, max_tries=1, limit_seconds=None)
    owned = Ownership("run", NOW + timedelta(hours=2), "always")
    application = read_blob_url(signer, NAMES.application_container, "app.sh")
    lease = build_lease(plan.spec.pool, owned.expires_at)
    start = build_start_task("app.sh", application, None)
    pool = build_pool(NAMES, plan.spec.pool, IMAGE, start, owned, lease).as_dict()
    for body, least in ((tasks[0], 4), (runner, 2), (bundle, 4), (manifest, 8), (pool, 1)):
        found = list(find_signatures(body))
        assert len(found) >= least
        assert {read_expiry(one) for one in found} == {signer.expires_at}


def test_a_run_that_signatures_can_not_last_for_is_told_so():
    """Only without an account key, and only beyond what Entra ID gives."""
    by_identity, by_key = make_signer(), make_signer(account_key="c2VjcmV0")
    said = why_too_short(by_identity, 8 * DAY) or ""
    most = int(said.partition("timeout_seconds=")[2].partition(",")[0])
    assert why_too_short(by_identity, most) is None
    assert 6.9 * DAY < most < 7 * DAY
    assert why_too_short(by_key, 30 * DAY) is None


def test_a_signature_that_can_not_be_read_is_not_taken_for_a_lasting_one():
    """The service may show a URL without its query."""
    assert read_expiry(f"{ACCOUNT}/a/b") is None
    assert read_expiry(None) is None
    assert not is_lasting(None, 60)
