"""The marketplace images that the account offers.

What List Supported Images answers: current ones, and those that the service has retired but that scripts
still name. Source: publishers' names in Azure's marketplace and the support dates of Batch's images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

#: When this list was made: what had ended by then is unverified.
_THIS_LIST = "2026"
_END_OF_FOCAL = "2025-04-23T00:00:00Z"
_END_OF_BIONIC = "2023-05-30T00:00:00Z"
_END_OF_JAMMY = "2027-06-30T00:00:00Z"
_END_OF_CENTOS = "2024-06-30T00:00:00Z"

_RDMA = ("SupportsRDMAOnly", "IntelMPIRuntimeInstalled")
_DOCKER = ("DockerCompatible",)


class _Offer(NamedTuple):
    publisher: str
    offer: str
    agent: str
    skus: tuple[str, ...]
    capabilities: tuple[str, ...] = ()
    end: str | None = None


_LINUX = (
    _Offer("almalinux", "almalinux-x86_64", "el 8", ("8-gen1", "8-gen2")),
    _Offer("almalinux", "almalinux-x86_64", "el 9", ("9-gen1", "9-gen2")),
    _Offer(
        "canonical",
        "0001-com-ubuntu-server-focal",
        "ubuntu 20.04",
        ("20_04-lts", "20_04-lts-gen2"),
        (),
        _END_OF_FOCAL,
    ),
    _Offer(
        "canonical",
        "0001-com-ubuntu-server-jammy",
        "ubuntu 22.04",
        ("22_04-lts", "22_04-lts-gen2"),
        (),
        _END_OF_JAMMY,
    ),
    _Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", ("server", "server-gen1")),
    _Offer(
        "canonical",
        "ubuntuserver",
        "ubuntu 16.04",
        ("16.04-lts", "16_04-lts-gen2"),
        (),
        "2021-05-21T00:00:00Z",
    ),
    _Offer("canonical", "ubuntuserver", "ubuntu 18.04", ("18.04-lts", "18_04-lts-gen2"), (), _END_OF_BIONIC),
    _Offer("debian", "debian-10", "debian 10", ("10", "10-gen2"), (), "2024-06-30T00:00:00Z"),
    _Offer("debian", "debian-11", "debian 11", ("11", "11-gen2")),
    _Offer("debian", "debian-12", "debian 12", ("12", "12-gen2")),
    _Offer("microsoft-azure-batch", "centos-container", "centos 7", ("7-9",), _DOCKER, _END_OF_CENTOS),
    _Offer(
        "microsoft-azure-batch",
        "ubuntu-server-container",
        "ubuntu 16.04",
        ("16-04-lts",),
        _DOCKER,
        "2021-05-21T00:00:00Z",
    ),
    _Offer(
        "microsoft-azure-batch",
        "ubuntu-server-container",
        "ubuntu 20.04",
        ("20-04-lts",),
        _DOCKER,
        _END_OF_FOCAL,
    ),
    _Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 20.04", ("2004",), (*_DOCKER, *_RDMA), _END_OF_FOCAL),
    _Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 22.04", ("2204",), (*_DOCKER, *_RDMA), _END_OF_JAMMY),
    _Offer("openlogic", "centos", "centos 7", ("7_9", "7_9-gen2"), (), _END_OF_CENTOS),
    _Offer("openlogic", "centos-hpc", "centos 7", ("7_9", "7_9-gen2"), _RDMA, _END_OF_CENTOS),
)

_WINDOWS: dict[str, tuple[str, ...]] = {
    "2012": ("datacenter", "datacenter-smalldisk", "r2-datacenter", "r2-datacenter-smalldisk"),
    "2016": ("datacenter", "datacenter-gensecond", "datacenter-smalldisk", "datacenter-smalldisk-g2"),
    "2019": (
        "datacenter",
        "datacenter-core",
        "datacenter-core-smalldisk",
        "datacenter-gensecond",
        "datacenter-smalldisk",
        "datacenter-smalldisk-g2",
        "datacenter-with-containers",
    ),
    "2022": (
        "datacenter",
        "datacenter-azure-edition",
        "datacenter-core",
        "datacenter-core-smalldisk",
        "datacenter-g2",
        "datacenter-smalldisk",
        "datacenter-smalldisk-g2",
    ),
    "2025": ("datacenter", "datacenter-core", "datacenter-g2", "datacenter-smalldisk"),
}

_WINDOWS_END = {"2012": "2023-10-10T00:00:00Z"}
_GENERATION_2_NAMES = ("gen2", "-g2", "gensecond", "azure-edition")


def _image(offer: _Offer, sku: str) -> dict[str, Any]:
    second = any(part in sku for part in _GENERATION_2_NAMES) or sku == "server"
    capabilities = [*offer.capabilities, *["Generation2VMImage"] * second]
    retired = offer.end is not None and offer.end < _THIS_LIST
    found: dict[str, Any] = {
        "imageReference": {
            "publisher": offer.publisher,
            "offer": offer.offer,
            "sku": sku,
            "version": "latest",
        },
        "verificationType": "unverified" if retired else "verified",
        "nodeAgentSKUId": f"batch.node.{offer.agent}",
    }
    if capabilities:
        found["capabilities"] = capabilities
    if offer.end:
        found["batchSupportEndOfLife"] = offer.end
    return found | {"osType": "windows" if offer.agent.startswith("windows") else "linux"}


def _windows_offer(year: str, edition: str) -> _Offer:
    return _Offer(
        "microsoftwindowsserver",
        "windowsserver",
        "windows amd64",
        (f"{year}-{edition}",),
        _DOCKER if "containers" in edition else (),
        _WINDOWS_END.get(year),
    )


def _name(reference: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(reference.get(part, "")).lower() for part in ("publisher", "offer", "sku"))


_OFFERS = (*_LINUX, *(_windows_offer(year, each) for year, every in _WINDOWS.items() for each in every))

SUPPORTED_IMAGES = sorted(
    (_image(offer, sku) for offer in _OFFERS for sku in offer.skus),
    key=lambda image: _name(image["imageReference"]),
)
"""In the order of the service: by publisher, offer and SKU. Read them, never change them."""

_KNOWN = {_name(image["imageReference"]): image for image in SUPPORTED_IMAGES}


def find_image(reference: dict[str, Any]) -> dict[str, Any] | None:
    """The supported image of a publisher, offer and sku (case does not matter), or None."""
    return _KNOWN.get(_name(reference))
