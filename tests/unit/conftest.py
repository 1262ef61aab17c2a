"""What holds for all unit tests."""

import sys
from collections.abc import Iterator

import pytest

from tests.conftest import PREFECT_SERVER


@pytest.fixture(scope="module", autouse=True)
def no_server_imported() -> Iterator[None]:
    """Prefect's server takes seconds to import: what needs it is no unit test."""
    was_there = PREFECT_SERVER in sys.modules
    yield
    has_come = PREFECT_SERVER in sys.modules and not was_there
    assert not has_come, f"a test of this file imports {PREFECT_SERVER}"
