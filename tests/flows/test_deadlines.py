"""How long the clients wait for services, and how often they ask: by the deadline, and by nothing else."""

from collections.abc import Iterator
from functools import partial

import pytest
from azure.batch import models

import batch_emulator
from tasks.azure import blobs, small_blobs
from tasks.azure.accounts import Accounts, using
from tasks.azure.clients import batch_client
from tasks.base.deadlines import Deadline, budget, current_deadline, glance, run_deadline, share, turns
from tasks.containers import check_storage
from tasks.errors import AccessError, JobError, NotFoundError, TemporaryError, UnreachableError
from tasks.images import choose_image
from tasks.jobs import create_job
from tasks.sharding import in_threads
from tasks.spec.naming import names_of_run
from tasks.spec.run_spec import RunOptions
from tasks.spec.specs import ImageSpec
from tests.faulty_proxy import FaultyProxy, before
from tests.messages import find_nonsense
from tests.weather import Outage

LONG = 3600.0


@pytest.fixture(scope="module")
def proxies(storage) -> Iterator[tuple[FaultyProxy, FaultyProxy, Accounts]]:
    """A local Batch service and Azurite, each behind a proxy, and the accounts by way of these."""
    with (
        batch_emulator.serve(port=0) as account,
        before(account.endpoint) as batch,
        before(storage.blob_endpoint) as store,
    ):
        endpoint = storage.connection_string.replace(
            storage.blob_endpoint, f"{store.url}/{storage.account_name}"
        )
        yield batch, store, Accounts(batch.url, account.name, account.key, endpoint)


@pytest.fixture
def batch(proxies) -> Iterator[FaultyProxy]:
    with using(proxies[2]):
        yield proxies[0]
    reset(proxies[0])


@pytest.fixture
def store(proxies) -> Iterator[FaultyProxy]:
    with using(proxies[2]):
        yield proxies[1]
    reset(proxies[1])


def reset(proxy: FaultyProxy) -> None:
    proxy.recover()
    proxy.requests.clear()
    proxy.dates.clear()


@pytest.mark.parametrize("kind", ["refuse", "silent", "500", "503"])
def test_what_waiting_can_heal_is_asked_again_until_it_has(store, kind):
    """A service that is away for a while is waited for, whatever it says or doesn't."""
    outage = store.begin(Outage(kind, 1.0))
    with run_deadline(60):
        list(blobs.list_containers())
    assert outage.struck


@pytest.mark.parametrize("kind", ["refuse", "silent", "500", "503"])
def test_no_call_outlasts_the_deadline(store, kind):
    """A service that doesn't come back is asked until time is up, and then the error says so."""
    store.begin(Outage(kind, LONG))
    with run_deadline(1), pytest.raises(TemporaryError, match="asked again until time was up"):
        blobs.find_container("some-container")


def test_no_call_to_batch_outlasts_the_deadline(batch):
    """So it is with Batch."""
    batch.begin(Outage("silent", LONG))
    with run_deadline(1), pytest.raises(UnreachableError, match="until time was up"):
        list_jobs()


@pytest.mark.parametrize("kind", [pytest.param("slow head", marks=pytest.mark.soak), "slow body"])
def test_an_answer_that_trickles_outlasts_no_deadline(store, batch, kind):
    """Each byte comes soon after the last, and all of them never: of small blobs, large ones and lists."""
    blobs.create_container("trickling")
    blobs.write_blob("trickling", "small", bytes(1000))
    blobs.write_blob("trickling", "large", bytes(small_blobs.SIZE_MAX_BYTES + 1))
    store.begin(Outage(kind, LONG))
    batch.begin(Outage(kind, LONG))
    for read in (
        partial(blobs.read_blob, "trickling", "small"),
        partial(blobs.read_blob, "trickling", "large"),
    ):
        with run_deadline(0.5), pytest.raises(TemporaryError, match="time was up"):
            read()
    with run_deadline(0.5), pytest.raises(UnreachableError, match="time was up"):
        list_jobs()
    store.recover()
    blobs.delete_container("trickling")


def list_jobs() -> list[object]:
    with batch_client("Listing jobs") as client:
        return list(client.list_jobs())


def test_no_token_outlasts_the_deadline(store, monkeypatch):
    """Nor does asking for a token, which the credentials do by themselves and for minutes."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{store.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "x")
    store.begin(Outage("silent", LONG))
    accounts = Accounts("https://batch.invalid", storage_endpoint="https://storage.invalid")
    with (
        using(accounts),
        run_deadline(1),
        pytest.raises(UnreachableError, match="nobody has given a token"),
    ):
        blobs.find_container("some-container")
    assert store.requests


def test_the_threads_of_a_shard_keep_to_the_deadline(store):
    """Each of many calls in threads ends by the same deadline."""
    store.begin(Outage("silent", LONG))

    def look(number: int) -> str:
        try:
            return str(blobs.find_blob("some-container", str(number)))
        except TemporaryError as error:
            return str(error)

    with run_deadline(1):
        said = in_threads(look, range(20))
    assert all("time was up" in text for text in said)
    # Those that begin later are not sent at all.
    assert len(store.requests) < 20


def test_one_refusal_is_asked_again_and_two_are_told(store, batch):
    """A 403 may be a gateway's; a second one on the same call means the key, and is told at once."""
    once = store.begin(Outage("403 once", LONG))
    with run_deadline(LONG):
        assert blobs.find_container("no-such-container") is None
    assert len(store.requests) == 2
    assert len(once.struck) == 1
    with (
        using(Accounts(batch.url, "somebody", "d3Jvbmcga2V5")),
        run_deadline(LONG),
        pytest.raises(AccessError),
    ):
        list_jobs()
    assert len(batch.requests) == 2


@pytest.mark.parametrize("kind", ["200 page", "404 page", "200 JSON"])
def test_a_page_of_somebody_else_s_is_no_answer(store, batch, kind, caplog):
    """A page to sign in at is no blob, and a gateway's 404 not the end of one: it is asked again, and what
    is in between is told in a line."""
    blobs.create_container("behind-a-gateway")
    blobs.write_blob("behind-a-gateway", "x", b"content")
    with run_deadline(60):
        store.begin(Outage(kind, 0.5))
        assert blobs.read_blob("behind-a-gateway", "x") == b"content"
        outage = store.begin(Outage(kind, 0.5))
        assert blobs.find_blob("behind-a-gateway", "x") is not None
    assert outage.struck
    batch.begin(Outage(kind, LONG))
    with run_deadline(1), pytest.raises(UnreachableError, match=f"a gateway.*HTTP {kind[:3]}.*time was up"):
        list_jobs()
    assert [record for record in caplog.records if record.exc_info] == []
    blobs.delete_container("behind-a-gateway")


def test_a_page_that_refuses_is_told_at_once(batch):
    """It is not the account's key that is wrong."""
    batch.begin(Outage("403 page", LONG))
    with run_deadline(LONG), pytest.raises(AccessError, match="a gateway, a proxy"):
        list_jobs()
    assert len(batch.requests) == 2


def test_what_waiting_cannot_heal_is_asked_once(store):
    """An answer of its own, such as 404, ends a call."""
    with run_deadline(LONG), pytest.raises(NotFoundError):
        blobs.read_blob("no-such-container", "x")
    assert len(store.requests) == 1


def test_a_body_is_sent_again_whole(store, tmp_path):
    """An upload that met a fault of the server's arrives as if it had not."""
    (tmp_path / "x").write_bytes(content := bytes(range(256)) * 40)
    blobs.create_container("sent-again")
    store.begin(Outage("500", 1.0, at="^PUT .*/sent-again/x"))
    with run_deadline(60):
        blobs.write_blob("sent-again", "x", content)
    assert blobs.read_blob("sent-again", "x") == content
    blobs.delete_container("sent-again")


def test_a_request_that_is_sent_again_has_a_date_of_its_own(batch):
    """Batch refuses a date of a quarter of an hour ago, and its client gives a request only one."""
    batch.begin(Outage("503", 1.1))
    with run_deadline(60):
        list_jobs()
    assert len(set(batch.dates)) > 1


@pytest.mark.parametrize("kind", ["silent", "refuse", "200 page"])
@pytest.mark.parametrize("step", ["storage", "batch"])
def test_an_endpoint_that_never_answered_is_told_soon(store, batch, step, kind, monkeypatch):
    """It is mostly a wrong one: the first call of a run doesn't wait for the run's whole time."""
    monkeypatch.setattr("tasks.base.deadlines.FIRST_ANSWER_SECONDS", 0.5)
    (store if step == "storage" else batch).begin(Outage(kind, LONG))
    with run_deadline(LONG), pytest.raises(UnreachableError, match="Is AZURE_") as caught:
        check_storage.fn(names_of_run("x"), 60) if step == "storage" else choose_image.fn(ImageSpec())
    assert find_nonsense(str(caught.value)) == []


def test_an_answer_at_the_beginning_is_waited_for(store, monkeypatch):
    """A service that says it is busy is no wrong endpoint."""
    monkeypatch.setattr("tasks.base.deadlines.FIRST_ANSWER_SECONDS", 0.5)
    store.begin(Outage("503", 1.5))
    with run_deadline(60):
        assert check_storage.fn(names_of_run("x"), 60) is False


def test_a_run_that_is_late_goes_on_while_services_answer():
    """Work isn't cut off: each answer, and the first call after a pause, finds a little time."""
    late = Deadline(0.2, 60)
    late.pause(1)
    assert late.is_over
    late.note_call()
    assert not late.is_over
    late.pause(1)
    late.note_failure()
    late.note_call()
    assert late.is_over
    late.note_answer()
    assert not late.is_over


def test_who_asks_again_ends_by_the_deadline_though_each_answer_leaves_time():
    """Answers that are right but not yet what is waited for don't keep a run going for ever."""
    with run_deadline(0.5) as deadline:
        for turn in turns():
            assert turn is None
            assert not deadline.is_over
            current_deadline().note_answer()
        assert not deadline.is_over
        assert not deadline.own_seconds_left


def test_a_run_that_gets_more_time_asks_again_for_longer():
    """The deadline may move on, and a run that was stopped has no time at all."""
    deadline = Deadline(0.01, 60)
    deadline.allow(60)
    assert deadline.own_seconds_left > 50
    deadline.stop()
    assert not deadline.own_seconds_left


def test_a_job_that_is_in_the_way_is_not_asked_for_without_end(batch):
    """Batch doesn't tell upper from lower case in ids, but lists do: such a job exists and isn't found."""
    names = names_of_run("in-the-way")
    with batch_client("Making a job") as client:
        other = models.BatchJobCreateOptions(
            id=names.job_id.upper(), pool_info=models.BatchPoolInfo(pool_id="x")
        )
        client.create_job(other)
        with run_deadline(0.5), pytest.raises(JobError, match="is there and can't be used"):
            create_job.fn(names, RunOptions())


def test_a_budget_is_shared_and_a_glance_is_short():
    """A clean-up has a time of its own whatever is left of the run's, and each of its parts a share of it."""
    with run_deadline(0.01) as run:
        run.stop()
        with budget(120), share() as part:
            assert 29 < part.seconds <= 30
            with glance() as short:
                assert short.seconds == 5
        with glance() as none:
            assert none.seconds == 0
