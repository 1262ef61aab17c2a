"""Who hears what a run tells."""

from tasks.base.listeners import listening, notify


def test_listeners_hear_only_their_own_runs():
    """News reach the innermost listener of the block, and nobody outside of it."""
    outer, inner = [], []
    notify("nobody hears this")
    with listening(outer.append):
        notify(1)
        with listening(inner.append):
            notify(2)
        notify(3)
    notify("nor this")
    assert (outer, inner) == ([1, 3], [2])
