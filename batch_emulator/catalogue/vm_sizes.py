"""VM sizes, with the cores that their names tell. Source: names of VM sizes in Azure's documentation."""

from __future__ import annotations

import re

_VM_SIZE = re.compile(r"(?:standard|basic)_[a-z]+(\d+)[a-z0-9-]*(?:_[a-z0-9_]+)?", re.IGNORECASE)
_CLASSIC_CORES = {"extrasmall": 1, "small": 1, "medium": 2, "large": 4, "extralarge": 8}


def core_count(vm_size: str) -> int | None:
    """vCPUs of a VM size, read from its name (`standard_d4s_v3` has 4); None for no such size."""
    if vm_size.lower() in _CLASSIC_CORES:
        return _CLASSIC_CORES[vm_size.lower()]
    found = _VM_SIZE.fullmatch(vm_size)
    return max(1, int(found[1])) if found else None
