"""One run of `fan_out` in a process of its own, whose cost is then that of the driver and of no service.

`python -m bench.driving INPUTS OUTPUTS NODES` with the accounts and Prefect's server in the environment;
what it took is the last line, in JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")


def main(inputs: str, outputs: str, nodes: str) -> None:
    started = time.perf_counter()
    from flows.fan_out import fan_out
    from tasks.spec.specs import PoolSpec

    imported = time.process_time()
    pool = PoolSpec(dedicated_nodes=int(nodes), task_slots_per_node=4)
    result = fan_out(inputs, None, "wc -w {input}", outputs, pool)  # pyright: ignore[reportCallIssue]
    found = {
        "files": len(result.outputs),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time(),
        "import_cpu_seconds": imported,
        # Linux counts in KiB.
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:4])
