"""What is done whole though a signal comes."""

import signal

import pytest

from tasks.base.interrupts import uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_block_has_ended(number):
    """It is handled once then, by whoever handles it; the next comes at once."""
    done, handled = [], []

    def handle(number, _frame):
        handled.append((number, [*done]))

    before = signal.signal(number, handle)
    try:
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append("whole")
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert handled == [(number, ["whole"])] * 2


def fail_while_interrupted():
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise OSError("no more threads")


def test_an_error_in_the_block_is_told_beside_the_signal():
    with pytest.raises(KeyboardInterrupt) as interrupted:
        fail_while_interrupted()
    assert isinstance(interrupted.value.__context__, OSError)
