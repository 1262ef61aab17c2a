"""Where on its node a task has its directory, as JSON."""

from __future__ import annotations

from batch_emulator.catalogue.images import runs_windows
from batch_emulator.resources.model import Wire, key
from batch_emulator.resources.store import Store


def render_directory(store: Store, pool_id: str, node_url: str, directory: str) -> Wire:
    """A task's directory and its URL. On Windows the former has backslashes, as recorded; of a pool that is
    gone nobody knows any more what it had."""
    pool = store.pools.get(key(pool_id))
    path = directory.replace("/", "\\") if pool is not None and runs_windows(pool.spec) else directory
    return {"taskRootDirectory": path, "taskRootDirectoryUrl": f"{node_url}/files/{directory}"}
