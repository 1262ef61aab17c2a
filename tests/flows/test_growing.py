"""Pools that follow the queue of a run that still uploads, and of one that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

import batch_emulator
from flows.fan_out import fan_out
from tasks import uploads
from tasks.errors import CostLimitError
from tasks.sharding import FILES_EACH_VISIBLE
from tasks.spec.naming import names_of_run
from tasks.spec.prices import PriceSpec
from tasks.spec.specs import PoolSpec
from tasks.watch.spending import Spending
from tests.flows.attempts import running_elsewhere
from tests.flows.services import batch, wait_for_remains, write_files
from tests.waiting import wait_until

SECONDS = 120
COUNT = FILES_EACH_VISIBLE + 10
LAST = f"{COUNT - 1:03d}.txt"
HELD = """sh -c 'touch {ran}; while [ -e {hold} ]; do sleep 0.1; done; cat "$FAN_OUT_INPUT"'"""


def count_wanted(pool_id: str) -> int:
    return batch().get_pool(pool_id).target_dedicated_nodes


@pytest.mark.soak
def test_nodes_come_with_the_tasks_and_none_begins_at_the_limit(accounts, tmp_path, run_key, monkeypatch):
    """A long upload begins with one node; as tasks wait there are more. When that has cost enough, the rest
    is not uploaded, what runs is finished and fetched, and the error tells."""
    inputs = write_files(tmp_path / "in", {f"{number:03d}.txt": f"text {number}" for number in range(COUNT)})
    names, hold, ran, over = names_of_run(run_key), tmp_path / "hold", tmp_path / "ran", tmp_path / "over"
    hold.touch()
    first_nodes = []
    read = uploads._read_file

    def read_last_last(path):
        if str(path).endswith(LAST):
            first_nodes.append(count_wanted(names.pool_id))
            wait_until(lambda: count_wanted(names.pool_id) == 2 and ran.exists(), SECONDS, "second node")
            over.touch()
            wait_until(lambda: batch().get_job(names.job_id).state != "active", SECONDS, "disabled job")
            hold.unlink()
        return read(path)

    monkeypatch.setattr(uploads, "_read_file", read_last_last)
    monkeypatch.setattr("tasks.spec.first_tasks.BOOT_SECONDS", 0)
    monkeypatch.setattr("tasks.watch.upload_watch.LOOK_SECONDS", 0)
    monkeypatch.setattr(Spending, "is_over", lambda self, now, part=1.0: over.exists())
    with pytest.raises(CostLimitError, match="node-hours of STANDARD_D2S_V3, about") as caught:
        fan_out(
            inputs,
            None,
            HELD.format(ran=ran, hold=hold),
            tmp_path / "out",
            PoolSpec(dedicated_nodes=2),
            run_key=run_key,
            prices=PriceSpec(per_hour=3600),
            max_cost=1,
        )
    assert first_nodes == [1]
    result = caught.value.result
    assert 1 <= result.counts["succeeded"] <= 2
    assert result.counts["succeeded"] + result.counts["unfinished"] == COUNT
    assert all(Path(path).read_text() == f"text {int(name[:3])}" for name, path in result.outputs.items())
    wait_for_remains(run_key, set())


@pytest.mark.slow
@pytest.mark.soak
def test_behind_a_killed_run_nodes_go_as_its_tasks_end(
    storage, prefect_server, use_batch, tmp_path, run_key, monkeypatch
):
    """The formula alone does it: what waits is run, and then there is no node, though the pool is there."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", storage.connection_string)
    write_files(tmp_path / "in", {f"{number}.txt": f"text {number}" for number in range(3)})
    application = write_files(
        tmp_path,
        {"app.sh": f"touch {tmp_path}/ran; while [ -e {tmp_path}/hold ]; do sleep 0.1; done; cat $1 > $2"},
    )
    with batch_emulator.serve(port=0, speed=100) as account:
        use_batch(account)
        names = names_of_run(run_key)
        options = {"pool": PoolSpec(dedicated_nodes=2).model_dump()}
        with running_elsewhere(tmp_path, run_key, str(application / "app.sh"), **options) as driver:
            assert count_wanted(names.pool_id) == 2
            driver.kill()
            driver.wait()
        wait_until(lambda: not list(batch().list_nodes(names.pool_id)), SECONDS, "pool without nodes")
        assert batch().get_job(names.job_id).state == "completed"
        assert count_wanted(names.pool_id) == 0
