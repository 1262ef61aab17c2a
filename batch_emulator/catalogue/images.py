"""The marketplace images that the account offers, and those that it offered once.

Source: List Supported Images as the service answered it in February 2026; the support dates of Batch's
images for those that are gone from that list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_GEN2 = "Generation2VMImage"
_CVM = "ConfidentialVMCompatible"
_OWN = "UserSubscriptionOnly"
_DOCKER = "DockerCompatible"
_RDMA = "SupportsRDMAOnly"
_MPI = "IntelMPIRuntimeInstalled"
_HPC = (_DOCKER, _RDMA, _GEN2, _MPI)


class _Offer(NamedTuple):
    """Images of one offer that have agent and capabilities in common."""

    publisher: str
    offer: str
    agent: str
    skus: str
    capabilities: tuple[str, ...] = ()
    verified: bool = True
    end: str | None = None


_MARINER = ("microsoftcblmariner", "azure-linux-3")
_RHEL_8 = "8.2 8_3 8_4 8_5 8_6 8_7 8_8"
_RHEL_8_GEN2 = "82gen2 83-gen2 84-gen2 85-gen2 86-gen2 87-gen2 88-gen2"

_LINUX = (
    _Offer("almalinux", "almalinux-arm", "el 9-arm64", "9-arm-gen2", (_GEN2,)),
    _Offer("almalinux", "almalinux-hpc", "el 8", "8-hpc-gen1", (_DOCKER, _RDMA, _MPI), False),
    _Offer("almalinux", "almalinux-hpc", "el 8", "8-hpc-gen2", (_DOCKER, _RDMA, _MPI, _GEN2), False),
    _Offer("almalinux", "almalinux-x86_64", "el 8", "8-gen1"),
    _Offer("almalinux", "almalinux-x86_64", "el 8", "8-gen2", (_GEN2,)),
    _Offer("almalinux", "almalinux-x86_64", "el 9", "9-gen1"),
    _Offer("almalinux", "almalinux-x86_64", "el 9", "9-gen2", (_GEN2,)),
    _Offer(
        "canonical",
        "0001-com-ubuntu-confidential-vm-jammy",
        "ubuntu 22.04",
        "22_04-lts-cvm",
        (_CVM, _GEN2),
        False,
    ),
    _Offer("canonical", "0001-com-ubuntu-server-jammy", "ubuntu 22.04", "22_04-lts"),
    _Offer("canonical", "0001-com-ubuntu-server-jammy", "ubuntu 22.04", "22_04-lts-gen2", (_GEN2,)),
    _Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "cvm", (_CVM, _GEN2), False),
    _Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "server", (_GEN2,)),
    _Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04-arm64", "server-arm64", (_GEN2,)),
    _Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "server-gen1"),
    _Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 22.04", "2204 2204-rocm", _HPC, False),
    _Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 24.04", "2404", _HPC),
    _Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 24.04-arm64", "2404-arm64", _HPC),
    _Offer(*_MARINER, "azurelinux 3.0", "azure-linux-3"),
    _Offer(*_MARINER, "azurelinux 3.0-arm64", "azure-linux-3-arm64", (_GEN2,)),
    _Offer(*_MARINER, "azurelinux 3.0", "azure-linux-3-gen2", (_GEN2,)),
    _Offer("redhat", "rhel", "el 8", _RHEL_8, (_OWN,), False),
    _Offer("redhat", "rhel", "el 8", _RHEL_8_GEN2, (_OWN, _GEN2), False),
    _Offer("redhat", "rhel", "el 9", "9_2 9_3 9_4 9_5", (_OWN,), False),
    _Offer("redhat", "rhel", "el 9", "92-gen2 93-gen2 94_gen2 95_gen2", (_OWN, _GEN2), False),
    _Offer("redhat", "rhel-cvm", "el 9", "9_4_cvm", (_CVM, _GEN2, _OWN), False),
    _Offer("redhat", "rhel-raw", "el 9", "9-raw", (_OWN,), False),
    _Offer("redhat", "rhel-raw", "el 9", "9-raw-gen2", (_GEN2, _OWN), False),
    _Offer(
        "resf",
        "rockylinux-aarch64",
        "el 9-arm64",
        "rockylinux-aarch64-9 rockylinux-aarch64-9-lvm",
        (_GEN2,),
        False,
    ),
    _Offer("resf", "rockylinux-x86_64", "el 8", "8-lvm", (_GEN2,), False),
    _Offer("resf", "rockylinux-x86_64", "el 9", "9-base 9-lvm", (_GEN2,), False),
)

_SERVER = ("microsoftwindowsserver", "windowsserver", "windows amd64")
_PLAIN = "datacenter datacenter-core datacenter-core-smalldisk datacenter-smalldisk"
_SECOND = "datacenter-core-g2 datacenter-core-smalldisk-g2 datacenter-smalldisk-g2"


def _server(year: str, editions: str, *capabilities: str, verified: bool = True) -> _Offer:
    skus = " ".join(f"{year}-{each}" for each in editions.split())
    return _Offer(*_SERVER, skus, capabilities, verified)


def _mirantis(offer: str, sku: str) -> _Offer:
    return _Offer("mirantis", offer, "windows amd64", sku, (_OWN, _DOCKER), False)


_WINDOWS = (
    _server("2016", "datacenter datacenter-smalldisk"),
    _server("2016", "datacenter-gensecond datacenter-smalldisk-g2", _GEN2),
    _server("2016", "datacenter-gs", verified=False),
    _server("2019", _PLAIN),
    _server("2019", f"{_SECOND} datacenter-gensecond", _CVM, _GEN2),
    _server("2019", "datacenter-gs", verified=False),
    _server("2022", _PLAIN),
    _server("2022", f"{_SECOND} datacenter-g2", _CVM, _GEN2),
    _server("2022", "datacenter-azure-edition datacenter-azure-edition-smalldisk", _CVM, _GEN2),
    _server("2025", _PLAIN),
    _server("2025", f"{_SECOND} datacenter-g2", _CVM, _GEN2),
    _Offer("microsoft-dsvm", "dsvm-win-2019", "windows amd64", "winserver-2019", (_DOCKER,), False),
    _mirantis("windows_2016_with_mirantis_container_runtime", "win_2016_mcr_20_10"),
    _mirantis("windows_2022_with_mirantis_container_runtime", "win_2022_mcr_20_10"),
    _mirantis("windows_with_mirantis_container_runtime_2019", "0001"),
)

_END_OF_XENIAL = "2021-05-21T00:00:00Z"
_END_OF_BIONIC = "2023-05-30T00:00:00Z"
_END_OF_FOCAL = "2025-04-23T00:00:00Z"
_END_OF_CENTOS = "2024-06-30T00:00:00Z"
_END_OF_DEBIAN_11 = "2024-08-14T00:00:00Z"
_END_OF_2012 = "2023-10-10T00:00:00Z"
_CONTAINER = "microsoft-azure-batch"


def _retired(publisher: str, offer: str, agent: str, skus: str, end: str, *capabilities: str) -> _Offer:
    return _Offer(publisher, offer, agent, skus, capabilities, verified=False, end=end)


_RETIRED = (
    _retired(
        "canonical",
        "0001-com-ubuntu-server-focal",
        "ubuntu 20.04",
        "20_04-lts 20_04-lts-gen2",
        _END_OF_FOCAL,
    ),
    _retired("canonical", "ubuntuserver", "ubuntu 16.04", "16.04-lts 16_04-lts-gen2", _END_OF_XENIAL),
    _retired("canonical", "ubuntuserver", "ubuntu 18.04", "18.04-lts 18_04-lts-gen2", _END_OF_BIONIC),
    _retired("debian", "debian-10", "debian 10", "10 10-gen2", "2024-06-30T00:00:00Z"),
    _retired("debian", "debian-11", "debian 11", "11 11-gen2", _END_OF_DEBIAN_11),
    _retired(_CONTAINER, "centos-container", "centos 7", "7-9", _END_OF_CENTOS, _DOCKER),
    _retired(_CONTAINER, "ubuntu-server-container", "ubuntu 16.04", "16-04-lts", _END_OF_XENIAL, _DOCKER),
    _retired(_CONTAINER, "ubuntu-server-container", "ubuntu 20.04", "20-04-lts", _END_OF_FOCAL, _DOCKER),
    _retired("microsoft-dsvm", "ubuntu-hpc", "ubuntu 20.04", "2004", _END_OF_FOCAL, _DOCKER, _RDMA, _MPI),
    _retired("openlogic", "centos", "centos 7", "7_9 7_9-gen2", _END_OF_CENTOS),
    _retired("openlogic", "centos-hpc", "centos 7", "7_9 7_9-gen2", _END_OF_CENTOS, _RDMA, _MPI),
    _retired(
        *_SERVER,
        "2012-datacenter 2012-datacenter-smalldisk 2012-r2-datacenter 2012-r2-datacenter-smalldisk",
        _END_OF_2012,
    ),
    _retired(*_SERVER, "2019-datacenter-with-containers", "2023-04-30T00:00:00Z", _DOCKER),
)


def _images(offers: tuple[_Offer, ...]) -> list[dict[str, Any]]:
    """In the order of the service: by publisher, offer and SKU."""
    found = (_image(offer, sku) for offer in offers for sku in offer.skus.split())
    return sorted(found, key=lambda image: _name(image["imageReference"]))


def _image(offer: _Offer, sku: str) -> dict[str, Any]:
    reference = {"publisher": offer.publisher, "offer": offer.offer, "sku": sku, "version": "latest"}
    found: dict[str, Any] = {
        "imageReference": reference,
        "verificationType": "verified" if offer.verified else "unverified",
        "nodeAgentSKUId": f"batch.node.{offer.agent}",
    }
    if offer.capabilities:
        found["capabilities"] = list(offer.capabilities)
    if offer.end:
        found["batchSupportEndOfLife"] = offer.end
    return found | {"osType": "windows" if offer.agent.startswith("windows") else "linux"}


def _name(reference: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(reference.get(part, "")).lower() for part in ("publisher", "offer", "sku"))


SUPPORTED_IMAGES = _images((*_LINUX, *_WINDOWS))
"""What List Supported Images answers. Read them, never change them."""

FORMER_IMAGES = _images((*_LINUX, *_WINDOWS, *_RETIRED))
"""The same with what has been retired since: for API versions that still get those."""

_KNOWN = {_name(image["imageReference"]): image for image in FORMER_IMAGES}


def find_image(reference: dict[str, Any]) -> dict[str, Any] | None:
    """The image of a publisher, offer and sku (case does not matter), retired ones too, or None."""
    return _KNOWN.get(_name(reference))


def has_old_agent(pool: dict[str, Any]) -> bool:
    """Whether the nodes of a pool's specification have an image that ended before 2024: such pools speak
    `classic` still in recordings of July 2025, others of the same days `simplified`. Inferred from those."""
    image = find_image(pool.get("virtualMachineConfiguration", {}).get("imageReference", {}))
    return image is not None and image.get("batchSupportEndOfLife", "9999") < "2024"


def runs_windows(pool: dict[str, Any]) -> bool:
    """Whether the nodes of a pool's specification have Windows, by their node agent; cloud services do."""
    machine = pool.get("virtualMachineConfiguration")
    agent = machine.get("nodeAgentSKUId") if isinstance(machine, dict) else None
    is_windows = isinstance(agent, str) and "windows" in agent.lower()
    return is_windows or bool(pool.get("cloudServiceConfiguration"))


def runs_containers(image: dict[str, Any]) -> bool:
    """Whether the nodes of a pool with this image can run container tasks."""
    return _DOCKER in image.get("capabilities", ())


def is_retired(image: dict[str, Any]) -> bool:
    """Whether the service has taken an image off its list."""
    return "batchSupportEndOfLife" in image
