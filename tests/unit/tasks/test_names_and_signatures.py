"""Names derived from a run's key, and the signatures that nodes get."""

import re
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import UserDelegationKey
from hypothesis import given
from hypothesis import strategies as st

from tasks.azure.sas import ENTRA_MAX_SECONDS, Signer, read_blob_url, validity, write_container_url
from tasks.errors import InputError
from tasks.spec.naming import names_of_run
from tasks.spec.recipe import SOURCE_DIGITS, digest_json, digest_source
from tasks.spec.work import make_item

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
KEY = "018f2c1e-9f3b-7cc2-8f6a-1234567890ab"


def test_names_follow_from_the_key_alone():
    """A second process finds the same names, and all of them are legal."""
    names = names_of_run(KEY)
    assert names == names_of_run(KEY)
    assert all(re.fullmatch(r"[a-z0-9](-?[a-z0-9])+", name) and len(name) <= 63 for name in names.containers)
    assert len(names.pool_id) <= 64
    assert names_of_run(KEY, "shared").pool_id == "shared"


@pytest.mark.parametrize("key", ["", "Upper", "a--b", "-a", "a-", "a_b", "x" * 51])
def test_a_key_that_cannot_name_containers_is_refused(key):
    """Keys are checked before they reach the service."""
    with pytest.raises(InputError, match="run key"):
        names_of_run(key)


NAMES, MD5S = st.text(max_size=80), st.binary(min_size=16, max_size=16).map(bytes.hex)


@given(NAMES, NAMES, MD5S, NAMES)
def test_task_ids_are_legal_and_tell_apart_all_that_makes_an_output(name, output_name, digest, recipe):
    """Any file name gives a legal id, the same each time, and another for another name, output, content or
    recipe."""
    work = [name, output_name, digest, recipe]
    task_id = make_item(*work).task_id
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", task_id)
    assert task_id == make_item(*work).task_id
    for changed in range(4):
        other = [text + "0a" if index == changed else text for index, text in enumerate(work)]
        assert make_item(*other).task_id != task_id


@given(st.lists(st.text() | st.just("\udcff"), min_size=4, max_size=4))
def test_a_source_is_the_digest_of_a_list(texts):
    """As in the metadata of outputs and in records that were kept before it was made faster."""
    assert digest_source(*texts) == digest_json(texts)[:SOURCE_DIGITS]


def test_jobs_of_a_run_are_told_from_those_of_others():
    """A number in a job's id is never part of another run's key."""
    names = names_of_run("a")
    assert [names.number_job(names.name_job(number)) for number in (1, 2, 10)] == [1, 2, 10]
    assert names.number_job(names_of_run("a-2").job_id) is None
    assert names.number_job(names_of_run("ab").name_job(2)) is None


def signer(**keys) -> Signer:
    starts_at, expires_at = validity(NOW, 1200)
    return Signer("acc", "https://acc.blob.core.windows.net", starts_at, expires_at, **keys)


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_an_input_s_url_reads_one_blob():
    """The signature on an input is for that blob, for reading, over TLS, and as long as the run may take."""
    url = read_blob_url(signer(account_key="c2VjcmV0"), "input", "a b/c?#'é.txt")
    assert urlsplit(url).path == "/input/a%20b/c%3F%23%27%C3%A9.txt"
    fields = query(url)
    assert (fields["sp"], fields["sr"], fields["spr"]) == ("r", "b", "https")
    assert (fields["st"], fields["se"]) == ("2026-11-22T11:45:00Z", "2026-11-23T00:20:00Z")


def test_the_output_container_s_url_can_only_write():
    """The signature on the outputs neither reads nor lists nor deletes."""
    fields = query(write_container_url(signer(account_key="c2VjcmV0"), "output"))
    assert (fields["sp"], fields["sr"]) == ("cw", "c")


def test_with_entra_id_the_signature_is_user_delegated():
    """Without an account key the fields of a user-delegation SAS are there, and no key is needed."""
    key = UserDelegationKey()
    key.signed_oid, key.signed_tid, key.signed_service, key.signed_version = "oid", "tid", "b", "2024-11-04"
    key.signed_start, key.signed_expiry, key.value = (
        "2026-11-22T11:45:00Z",
        "2026-11-22T13:20:00Z",
        "c2VjcmV0",
    )
    key.signed_delegated_user_tid = None
    fields = query(read_blob_url(signer(user_delegation_key=key), "input", "a"))
    assert (fields["skoid"], fields["sktid"], fields["sks"], fields["sp"]) == ("oid", "tid", "b", "r")


def test_plain_http_is_allowed_where_the_endpoint_has_nothing_else():
    """The protocol follows from the endpoint's own scheme."""
    local = Signer("acc", "http://127.0.0.1:1/acc", NOW, NOW + timedelta(hours=1), account_key="c2VjcmV0")
    assert query(write_container_url(local, "output"))["spr"] == "https,http"


def test_a_delegated_key_lives_seven_days_at_most():
    """A longer run asks for no more than Entra ID gives."""
    starts_at, expires_at = validity(NOW, 30 * 24 * 3600, ENTRA_MAX_SECONDS)
    assert expires_at - starts_at <= timedelta(days=7)


def test_a_signer_does_not_show_its_key():
    """What prints a signer doesn't print what it signs with."""
    assert "c2VjcmV0" not in repr(signer(account_key="c2VjcmV0"))
