"""A thousand files while everything fails now and then: seeded, and nothing is lost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.events.worker import EventsWorker

import batch_emulator
from batch_emulator.faults import Faults, NodeFault, RequestFault
from flows.fan_out import fan_out
from tasks.spec.specs import PoolSpec
from tests.faulty_proxy import FaultyProxy
from tests.flows.outages import Stand, asking, proxied
from tests.flows.services import wait_for_remains, write_files
from tests.prefect_servers import DRAIN_SECONDS
from tests.weather import Weather

SEED = 20261126
COUNT = 1000
NODES = 20
BAD = {"429": 0.3, "500": 0.05, "503": 0.05, "reset": 0.02}
# Prefect's client waits for seconds after each.
UNSETTLED = {"429": 0.03, "500": 0.02, "503": 0.02, "reset": 0.01}
OF_BATCH = Faults(
    seed=SEED,
    requests=(
        RequestFault(status=429, rate=0.3),
        RequestFault(code="InternalError", rate=0.05),
        RequestFault(code="ServerBusy", rate=0.05),
        RequestFault(drop="before", rate=0.01),
        RequestFault(drop="after", rate=0.01),
    ),
    nodes=(
        NodeFault(event="preempt", after_seconds=3, rate=0.1),
        NodeFault(event="preempt", after_seconds=8, rate=0.1),
        # That some are taken away while they work is no matter of luck.
        NodeFault(event="preempt", after_seconds=2, times=2),
    ),
)
# One file in twenty crashes the first time that it is run to its end.
PROGRAM = """
name=$(basename "$1")
echo "$name" >> "$HOME_OF_TEST/ran"
case "$name" in
*[02468]0.txt) mkdir "$HOME_OF_TEST/crashed/$name" 2>/dev/null && kill -SEGV $$;;
esac
tr a-z A-Z < "$1" > "$2"
"""


@pytest.fixture
def proxies(storage, prefect_server, use_batch, monkeypatch) -> Iterator[dict[str, FaultyProxy]]:
    """A Batch service with its own faults, and bad weather before the other two."""
    with batch_emulator.serve(port=0, faults=OF_BATCH) as account:
        use_batch(account)
        with proxied(Stand(account, storage, prefect_server.removesuffix("/api"))) as proxies:
            url = f"{proxies['storage'].url}/{storage.account_name}"
            connection_string = storage.connection_string.replace(storage.blob_endpoint, url)
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string)
            proxies["storage"].weather = Weather(SEED, BAD)
            proxies["prefect"].weather = Weather(SEED, UNSETTLED)
            with asking(proxies["prefect"]):
                yield proxies
                # Once the proxy is gone each event that is still to be sent would be tried again for long.
                proxies["prefect"].weather = None
                EventsWorker.drain_all(timeout=DRAIN_SECONDS)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_nothing_is_lost_while_everything_fails_now_and_then(proxies, tmp_path, run_key):
    """Throttling, faults, resets, preempted nodes and crashing programs: each output is there, byte for byte,
    and nothing else; and all that the run made is gone."""
    texts = {f"{n % 7}/{n:04d}.txt": f"file {n}: " + "lorem ipsum, zażółć\n" * (n % 50) for n in range(COUNT)}
    inputs = write_files(tmp_path / "in", texts)
    (tmp_path / "crashed").mkdir()
    (tmp_path / "program.sh").write_text(f"HOME_OF_TEST={tmp_path}\n{PROGRAM}")
    result = fan_out(
        inputs=str(inputs),
        application=str(tmp_path / "program.sh"),
        command="sh {application} {input} {output}",
        output_dir=str(tmp_path / "out"),
        output_name="{name}",
        pool=PoolSpec(dedicated_nodes=0, low_priority_nodes=NODES, task_slots_per_node=2),
        max_task_retry_count=2,
        run_key=run_key,
        timeout_seconds=900,
    )
    shouted = {name: text.encode().translate(SHOUT) for name, text in texts.items()}
    written = read_files(tmp_path / "out")
    assert {name: content for name, content in written.items() if name in shouted} == shouted
    assert [name for name in written.keys() - shouted.keys() if not name.startswith("fan-out-files-")] == []
    assert result.counts["succeeded"] == COUNT
    ran = Counter((tmp_path / "ran").read_text().split())
    crashed = {path.name for path in (tmp_path / "crashed").iterdir()}
    assert set(ran) == {Path(name).name for name in texts}
    assert len(crashed) == COUNT // 20
    assert all(ran[name] >= 2 for name in crashed)
    assert set(proxies["storage"].weather.struck) == set(BAD)
    # Prefect is asked too little for each kind to be sure of its turn.
    assert proxies["prefect"].weather.struck
    wait_for_remains(run_key, set())


SHOUT = bytes(byte - 32 if ord("a") <= byte <= ord("z") else byte for byte in range(256))


def read_files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their names there."""
    paths = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
