"""Fixtures that several kinds of tests share: real services, started once a session."""

from collections.abc import Iterator

import pytest

from deployments import azurite


@pytest.fixture(scope="session")
def storage() -> Iterator[azurite.BlobStorage]:
    """A running Azurite, one for each process of the test run. Give each test containers of its own."""
    with azurite.serve() as storage:
        yield storage
