"""Job schedules whose service is killed."""

from __future__ import annotations

from batch_emulator.scheduler import schedules
from tests.unit.emulator.kept import KeptDriver
from tests.unit.emulator.test_schedules import add_schedule


def test_a_disabled_schedule_is_kept_as_it_is_while_its_times_pass():
    driver = KeptDriver()
    add_schedule(driver, recurrenceInterval="PT1M")
    driver.do(schedules.disable_schedule, "s")
    driver.pass_seconds(90)
    driver.check_kept()
