"""What a VM size says of itself by its name."""

import re

# Sizes of the first generations are numbered, not named after their cores.
NUMBERED = re.compile(r"(?i)standard_(a\d+m?|(d|ds)1?[1-5](-\d)?|gs?[1-5](-\d)?)(_v2|_promo|_v2_promo)?")
NAMED = re.compile(r"(?i)(?:standard|basic)_[a-z]+(?P<cores>\d+)(?:-(?P<left>\d+))?[a-z]*(?:_[a-z0-9]+)*")
# The service's limit (REST operation Pool Add): four a core, and 256.
SLOTS_PER_CORE = 4


def read_cores(vm_size: str) -> int | None:
    """The cores of a size such as `STANDARD_D2S_V3`; None where its name does not say.

    Of `Standard_E8-2s_v3`, which has fewer than its family, those that are left.
    """
    found = NAMED.fullmatch(vm_size)
    if found is None or NUMBERED.fullmatch(vm_size):
        return None
    return int(found["left"] or found["cores"])


def why_too_many_slots(vm_size: str, slots: int) -> str | None:
    """Why a node can't have that many task slots, or None if it can, as far as the size's name says."""
    cores = read_cores(vm_size)
    if cores is None or slots <= SLOTS_PER_CORE * cores:
        return None
    most = SLOTS_PER_CORE * cores
    return f"{slots} task slots are too many for {vm_size}: with {cores} cores it takes {most}."
