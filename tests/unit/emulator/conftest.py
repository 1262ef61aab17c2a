"""The pure core of the local Batch service, for tests that drive it."""

import pytest

from tests.unit.emulator.driver import Driver


@pytest.fixture
def driver() -> Driver:
    return Driver()
