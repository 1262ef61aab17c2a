"""What the name of a VM size says."""

import pytest

from tasks.spec.vm_sizes import read_cores, why_too_many_slots


@pytest.mark.parametrize(
    ("vm_size", "cores"),
    [
        ("STANDARD_D2S_V3", 2),
        ("Standard_F16s_v2", 16),
        ("Standard_E8-2s_v3", 2),
        ("Standard_NC24ads_A100_v4", 24),
        ("Standard_M128ms", 128),
        ("Standard_D11_v2", None),
        ("Standard_A3", None),
        ("Standard_DS14-4_v2", None),
        ("large", None),
    ],
)
def test_cores_are_read_from_the_name(vm_size, cores):
    """Of sizes that are named after their cores, and of no others."""
    assert read_cores(vm_size) == cores


def test_more_slots_than_a_size_takes_are_told():
    """Four a core; where the cores are not known, nothing is said."""
    assert why_too_many_slots("STANDARD_D2S_V3", 8) is None
    assert "takes 8" in (why_too_many_slots("STANDARD_D2S_V3", 9) or "")
    assert why_too_many_slots("Standard_A3", 200) is None
