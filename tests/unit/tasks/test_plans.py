"""A run as it is to be, before anything is made."""

import pytest

from tasks.errors import IdleNodesError, InputError
from tasks.plans import plan_run
from tasks.spec.run_spec import RunSpec
from tasks.spec.specs import PoolSpec


def plan(folder, pool: PoolSpec, required_slots: int = 1):
    inputs = folder / "in"
    inputs.mkdir(exist_ok=True)
    for number in range(6):
        (inputs / f"{number}.txt").touch()
    spec = RunSpec(
        inputs=inputs,
        application=None,
        command="wc {input}",
        output_dir=folder / "out",
        run_key="a-key",
        pool=pool,
        task={"overrides": {"requiredSlots": required_slots}},
    )
    return plan_run(spec)


def test_many_more_nodes_than_files_are_refused(tmp_path):
    """It is a slip that costs money; the message says how many would do, and how to say that it is meant."""
    with pytest.raises(
        IdleNodesError, match=r"900 nodes for 6 files: 897 of them.*Ask for 3 nodes.*allow_idle"
    ):
        plan(tmp_path, PoolSpec(dedicated_nodes=800, low_priority_nodes=100, task_slots_per_node=2))


@pytest.mark.parametrize(
    "pool",
    [
        PoolSpec(dedicated_nodes=16),
        PoolSpec(dedicated_nodes=900, allow_idle_nodes=True),
        PoolSpec(dedicated_nodes=900, pool_id="shared"),
    ],
)
def test_a_few_more_or_a_pool_for_others_too_are_taken(tmp_path, pool):
    """Ten idle nodes may be, any number that is meant, and a pool that is named may be for other runs."""
    assert len(plan(tmp_path, pool).files) == 6


def test_nodes_are_counted_by_the_slots_that_tasks_take(tmp_path):
    """A node of four slots has room for one task of three, so that none of these is idle."""
    pool = PoolSpec(vm_size="Standard_D4s_v3", task_slots_per_node=4, dedicated_nodes=16)
    assert len(plan(tmp_path, pool, required_slots=3).files) == 6
    with pytest.raises(IdleNodesError, match="Ask for 6 nodes"):
        plan(tmp_path, pool.model_copy(update={"dedicated_nodes": 17}), required_slots=3)


def test_tasks_that_no_node_has_room_for_are_refused(tmp_path):
    """Batch would take them and let them wait for ever, on nodes that are paid."""
    with pytest.raises(InputError, match=r"takes 3 slots.*a node has 2 slots: no task would ever run"):
        plan(tmp_path, PoolSpec(task_slots_per_node=2), required_slots=3)


def test_more_slots_than_the_size_takes_are_refused(tmp_path):
    """As the check tells it; the service would refuse the pool."""
    with pytest.raises(InputError, match=r"9 task slots are too many for STANDARD_D2S_V3: .* it takes 8"):
        plan(tmp_path, PoolSpec(task_slots_per_node=9))
