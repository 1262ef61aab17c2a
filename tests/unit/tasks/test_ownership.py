"""What a resource's metadata says of whose it is."""

import re
from datetime import datetime, timedelta, timezone

import pytest

from tasks.spec.ownership import (
    MARGIN_SECONDS,
    Ownership,
    as_batch_metadata,
    as_metadata,
    build_ownership,
    read_batch_ownership,
    read_ownership,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
OWNED = Ownership("run-1", NOW, "on_success", "flow-run-1")


def test_ownership_is_read_back():
    """Containers, pools and jobs say the same of themselves, and nothing of it is lost."""
    assert read_ownership(as_metadata(OWNED)) == OWNED
    assert read_batch_ownership(as_batch_metadata(OWNED)) == OWNED


def test_names_are_legal_in_a_container():
    """The metadata names of a container must be identifiers (REST operation Set Container Metadata)."""
    assert all(re.fullmatch(r"[a-z_]+", name) for name in as_metadata(OWNED))


def test_a_run_owns_its_things_a_while_beyond_its_time():
    """The uploads before, and the downloads after the Batch tasks, are within the margin."""
    assert build_ownership("k", "always", 1200, NOW).expires_at == NOW + timedelta(
        seconds=1200 + MARGIN_SECONDS
    )


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"made_by": "somebody", "run_key": "x"}, {"made_by": "prefect-azure-batch"}, {"run_key": "x"}],
)
def test_what_does_not_name_us_is_not_ours(metadata):
    """Neither a key alone nor another maker makes a resource ours."""
    assert read_ownership(metadata) is None


def test_what_cannot_be_read_deletes_least():
    """An unknown policy keeps; a time that is none is no expiry."""
    metadata = {**as_metadata(OWNED), "delete_when": "sometimes", "expires_at": "soon"}
    assert read_ownership(metadata) == Ownership("run-1", None, "never", "flow-run-1")


def test_a_resource_of_an_older_version_is_ours():
    """Without a policy of its own a resource has the default one; a time without a zone is UTC."""
    metadata = {"made_by": "prefect-azure-batch", "run_key": "x", "expires_at": "2026-11-22T12:00:00"}
    assert read_ownership(metadata) == Ownership("x", NOW, "always")
