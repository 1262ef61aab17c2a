"""VM sizes, with the cores that their names tell. Source: names of VM sizes in Azure's documentation."""

from __future__ import annotations

import re

_VM_SIZE = re.compile(r"(?:standard|basic)_[a-z]+(\d+)[a-z0-9-]*(?:_[a-z0-9_]+)?", re.IGNORECASE)
_CLASSIC_CORES = {"extrasmall": 1, "small": 1, "medium": 2, "large": 4, "extralarge": 8}


#: Ended by early 2026. Source: "Retired Azure VM size series" in Azure's documentation.
_RETIRED = re.compile(
    r"basic_a\d+|standard_a(\d|1[01])|standard_h(8|16)m?r?(_promo)?|standard_hb60[a-z0-9-]*rs|standard_n[cv](6|12|24)r?(_promo)?|"
    r"standard_nc(6|12|24)r?s_v[23]|standard_nd(6|12|24)r?s|standard_nv(6|12|24)_promo|standard_nv(6|12|24)s_v2"
)


def is_retired(vm_size: str) -> bool:
    """Whether no new machines of a size are to be had any more."""
    return bool(_RETIRED.fullmatch(vm_size.lower()))


def core_count(vm_size: str) -> int | None:
    """vCPUs of a VM size, read from its name (`standard_d4s_v3` has 4); None for no such size."""
    if vm_size.lower() in _CLASSIC_CORES:
        return _CLASSIC_CORES[vm_size.lower()]
    found = _VM_SIZE.fullmatch(vm_size)
    return max(1, int(found[1])) if found else None
