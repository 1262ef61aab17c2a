"""What stays in memory for as long as a run does."""

import gc
import sys

import flows.running  # noqa: F401


def test_what_the_flows_have_loaded_is_never_looked_through_for_garbage():
    """Half a million objects that stay would be looked through again and again, and when the process ends."""
    loaded = sys.modules["flows.running"]
    assert gc.is_tracked(loaded)
    assert not any(one is loaded for one in gc.get_objects())
