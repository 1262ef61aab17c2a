"""What the account offers: marketplace images that Batch supports, and VM sizes with their cores.

A small part of the service's lists, of what is current in 2026. Source: List Supported Images, and the
names of VM sizes in Azure's documentation.
"""

from __future__ import annotations

import re
from typing import Any

_GEN2 = ["Generation2VMImage"]


def _image(
    publisher: str, offer: str, sku: str, agent: str, *, verified: bool = True, gen2: bool = False
) -> dict:
    found: dict[str, Any] = {
        "nodeAgentSKUId": f"batch.node.{agent}",
        "imageReference": {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"},
        "osType": "windows" if agent.startswith("windows") else "linux",
        "verificationType": "verified" if verified else "unverified",
    }
    if gen2:
        found["capabilities"] = _GEN2
    return found


SUPPORTED_IMAGES = (
    _image("almalinux", "almalinux-x86_64", "8-gen2", "el 8", gen2=True),
    _image("almalinux", "almalinux-x86_64", "9-gen2", "el 9", gen2=True),
    _image("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "ubuntu 22.04"),
    _image("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "ubuntu 22.04", gen2=True),
    _image("canonical", "ubuntu-24_04-lts", "server", "ubuntu 24.04", gen2=True),
    _image("canonical", "ubuntu-24_04-lts", "server-gen1", "ubuntu 24.04"),
    _image("debian", "debian-12", "12", "debian 12"),
    _image("debian", "debian-12", "12-gen2", "debian 12", gen2=True),
    _image("microsoft-dsvm", "ubuntu-hpc", "2204", "ubuntu 22.04", gen2=True),
    _image("microsoftwindowsserver", "windowsserver", "2022-datacenter", "windows amd64"),
    _image("microsoftwindowsserver", "windowsserver", "2025-datacenter", "windows amd64", verified=False),
    # Retired from the service; still in scripts, so known here by name.
    _image("canonical", "0001-com-ubuntu-server-focal", "20_04-lts", "ubuntu 20.04", verified=False),
    _image("canonical", "ubuntuserver", "18.04-lts", "ubuntu 18.04", verified=False),
)

_KNOWN = {
    tuple(each["imageReference"][part].lower() for part in ("publisher", "offer", "sku")): each
    for each in SUPPORTED_IMAGES
}
_VM_SIZE = re.compile(r"(?:standard|basic)_[a-z]+(\d+)[a-z0-9-]*(?:_[a-z0-9_]+)?", re.IGNORECASE)
_CLASSIC_CORES = {"extrasmall": 1, "small": 1, "medium": 2, "large": 4, "extralarge": 8}


def find_image(reference: dict) -> dict | None:
    """The supported image of a publisher, offer and sku (case does not matter), or None."""
    return _KNOWN.get(tuple(str(reference.get(part, "")).lower() for part in ("publisher", "offer", "sku")))


def core_count(vm_size: str) -> int | None:
    """vCPUs of a VM size, read from its name (`standard_d4s_v3` has 4); None for no such size."""
    if vm_size.lower() in _CLASSIC_CORES:
        return _CLASSIC_CORES[vm_size.lower()]
    found = _VM_SIZE.fullmatch(vm_size)
    return max(1, int(found[1])) if found else None
