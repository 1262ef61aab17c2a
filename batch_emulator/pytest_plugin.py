"""Fixtures for tests that need an Azure Batch account: installed with the package, nothing to import.

batch_settings      session     what is served; override it to have something else
batch_account       session     the account: name, key, endpoint
batch_faults        function    makes things go wrong until the test has ended
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from batch_emulator import Account, Settings
    from batch_emulator.faults.rules import Faults

# The service is imported in the fixtures: a test run that needs none does not pay for it.


@pytest.fixture(scope="session")
def batch_settings() -> Settings:
    """The settings of the service that `batch_account` runs, on a free port."""
    from batch_emulator import Settings

    return Settings(port=0)


@pytest.fixture(scope="session")
def batch_account(batch_settings: Settings) -> Iterator[Account]:
    """A local Azure Batch account for all tests of a process; give each test pools and jobs of its own."""
    from batch_emulator import serve

    with serve(batch_settings) as account:
        yield account


@pytest.fixture
def batch_faults(batch_account: Account) -> Iterator[Callable[[Faults], None]]:
    """A function that takes `Faults`; what it asked for ends with the test."""
    from batch_emulator.control_client import clear_faults, put_faults

    yield lambda faults: put_faults(batch_account, faults)
    clear_faults(batch_account)
