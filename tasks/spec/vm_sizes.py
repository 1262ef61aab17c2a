"""What a VM size says of itself by its name."""

import re

# Sizes of the first generations are numbered, not named after their cores.
NUMBERED = re.compile(
    r"(?i)(?:standard|basic)_(?P<series>a|ds?|gs?)(?P<number>\d+)(?:-(?P<left>\d+))?m?(?P<suffix>(?:_v2|_promo)*)"
)
NAMED = re.compile(r"(?i)(?:standard|basic)_[a-z]+(?P<cores>\d+)(?:-(?P<left>\d+))?[a-z]*(?:_[a-z0-9]+)*")
# Their cores. Source: the documentation pages of the A, D, DS, G and GS series.
OF_D = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 11: 2, 12: 4, 13: 8, 14: 16, 15: 20}
OF_G = {1: 2, 2: 4, 3: 8, 4: 16, 5: 32}
OF_A = {0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 2, 6: 4, 7: 8, 8: 8, 9: 16, 10: 8, 11: 16}
OF_A_V2 = {number: number for number in (1, 2, 4, 8)}
# Parts of a name that are no device, as in Standard_DC4as_cc_v5.
FEATURES = {"cc", "xl"}
# The service's limit (REST operation Pool Add): four a core, and 256.
SLOTS_PER_CORE = 4
SLOTS_MAX = 256


def read_cores(vm_size: str) -> int | None:
    """The cores of a size such as `STANDARD_D2S_V3`; None for one that is not known.

    Of `Standard_E8-2s_v3`, which has fewer than its family, those that are left.
    """
    if numbered := NUMBERED.fullmatch(vm_size):
        return _count_numbered(numbered)
    found = NAMED.fullmatch(vm_size)
    return int(found["left"] or found["cores"]) if found else None


def _count_numbered(found: re.Match[str]) -> int | None:
    series, number = found["series"].lower(), int(found["number"])
    if found["left"]:
        return int(found["left"])
    if series == "a":
        return (OF_A_V2 if "v2" in found["suffix"].lower() else OF_A).get(number)
    return (OF_D if series.startswith("d") else OF_G).get(number)


def why_too_many_slots(vm_size: str, slots: int) -> str | None:
    """Why a node can't have that many task slots, or None if it can, as far as the size's name says."""
    cores = read_cores(vm_size)
    if cores is None or slots <= SLOTS_PER_CORE * cores:
        return None
    most = min(SLOTS_MAX, SLOTS_PER_CORE * cores)
    return f"{slots} task slots are too many for {vm_size}: with {cores} cores it takes {most}."


def as_arm_name(vm_size: str) -> str:
    """A size as Azure Resource Manager writes it, such as Standard_NC24ads_A100_v4, also if given in one
    case; one in both cases stays as it is.

    The family's letters, and a device in its name, are capitals; features, and the version at the end, not.
    """
    tier, *parts = vm_size.split("_")
    rest = "_".join(parts)
    if not parts or rest not in (rest.upper(), rest.lower()):
        return vm_size
    family = re.match(r"[A-Za-z]*", parts[0])
    letters = family.group() if family else ""
    size = letters.upper() + parts[0][len(letters) :].lower()
    found = re.fullmatch(r"(?i)(.*?)(_v\d+)?(_promo)?", rest[len(parts[0]) :])
    middle, version, promo = found.groups("") if found else ("", "", "")
    devices = (part.lower() if part.lower() in FEATURES else part.upper() for part in middle.split("_"))
    ending = version.lower() + ("_Promo" if promo else "")
    return f"{tier.capitalize()}_{size}{'_'.join(devices)}{ending}"
