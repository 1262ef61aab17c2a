"""What the name of a VM size says."""

import pytest
from pydantic import ValidationError

from tasks.spec.specs import PoolSpec, describe_nodes
from tasks.spec.vm_sizes import as_arm_name, read_cores, why_too_many_slots


@pytest.mark.parametrize(
    ("vm_size", "cores"),
    [
        ("STANDARD_D2S_V3", 2),
        ("Standard_F16s_v2", 16),
        ("Standard_E8-2s_v3", 2),
        ("Standard_NC24ads_A100_v4", 24),
        ("Standard_M128ms", 128),
        ("Standard_D11_v2", 2),
        ("Standard_DS15_v2", 20),
        ("Standard_DS14-4_v2", 4),
        ("Standard_GS5-16", 16),
        ("Standard_A3", 4),
        ("Basic_A4", 8),
        ("Standard_A4m_v2", 4),
        ("Standard_D9_v2", None),
        ("large", None),
    ],
)
def test_cores_are_read_from_the_name(vm_size, cores):
    """Of sizes that are named after their cores; the first generations are known, and no others."""
    assert read_cores(vm_size) == cores


def test_more_slots_than_a_size_takes_are_told():
    """Four a core; where the cores are not known, nothing is said."""
    assert why_too_many_slots("STANDARD_D2S_V3", 8) is None
    assert "takes 8" in (why_too_many_slots("STANDARD_D2S_V3", 9) or "")
    assert why_too_many_slots("Standard_D9_v2", 200) is None


def test_a_node_may_have_a_slot_for_each_core():
    """As many as its size has, where that is known; else it is refused."""
    pool = PoolSpec(vm_size="Standard_F16s_v2", task_slots_per_node="cores")
    assert pool.slots_per_node == 16
    assert describe_nodes(pool) == "1 node of Standard_F16s_v2, 16 task slots each"
    assert PoolSpec(vm_size="Standard_M416ms_v2", task_slots_per_node="cores").slots_per_node == 256
    with pytest.raises(ValidationError, match="how many cores large has is not known: give a number"):
        PoolSpec(vm_size="large", task_slots_per_node="cores")


@pytest.mark.parametrize(
    "name",
    [
        "Standard_D2s_v3",
        "Standard_D2ads_v5",
        "Standard_DS2_v2_Promo",
        "Standard_E8-2s_v3",
        "Standard_NC24ads_A100_v4",
        "Standard_NV36ads_A10_v5",
        "Standard_ND96isr_MI300X_v5",
        "Standard_HB120-16rs_v3",
        "Standard_A4m_v2",
        "Standard_M128ms",
        "Standard_NG8ads_V620_v1",
        "Standard_DC4as_cc_v5",
        "Standard_NC128lds_xl_RTXPRO6000BSE_v6",
        "Standard_NM16ads_MA35D",
        "Standard_NC6_Promo",
        "Basic_A1",
    ],
)
def test_a_size_is_written_as_azure_does(name):
    """Whatever case it is given in."""
    tier, _, rest = name.partition("_")
    given = (name, name.upper(), name.lower(), f"{tier}_{rest.upper()}", f"{tier.upper()}_{rest.lower()}")
    assert {as_arm_name(one) for one in given} == {name}


@pytest.mark.parametrize("name", ["large", "Standard_ND96isf_new_Thing_v9"])
def test_a_size_in_both_cases_is_left_as_it_is(name):
    """Whoever writes capitals and small letters knows the name."""
    assert as_arm_name(name) == name
