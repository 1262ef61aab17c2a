"""The marketplace images that the account offers, and those that it offered once, as offers.

Source: List Supported Images as the service answered it in February 2026, and in recordings of 2020 to 2025
for those that are gone from that list; the support dates of Batch's images.
"""

from __future__ import annotations

from typing import NamedTuple

_GEN2 = "Generation2VMImage"
_CVM = "ConfidentialVMCompatible"
_OWN = "UserSubscriptionOnly"
DOCKER = "DockerCompatible"
_RDMA = "SupportsRDMAOnly"
_MPI = "IntelMPIRuntimeInstalled"
_TESLA = "NvidiaTeslaDriverInstalled"
_GRID = "NvidiaGridDriverInstalled"
_HPC = (DOCKER, _RDMA, _GEN2, _MPI)


class Offer(NamedTuple):
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
    Offer("almalinux", "almalinux-arm", "el 9-arm64", "9-arm-gen2", (_GEN2,)),
    Offer("almalinux", "almalinux-hpc", "el 8", "8-hpc-gen1", (DOCKER, _RDMA, _MPI), False),
    Offer("almalinux", "almalinux-hpc", "el 8", "8-hpc-gen2", (DOCKER, _RDMA, _MPI, _GEN2), False),
    Offer("almalinux", "almalinux-x86_64", "el 8", "8-gen1"),
    Offer("almalinux", "almalinux-x86_64", "el 8", "8-gen2", (_GEN2,)),
    Offer("almalinux", "almalinux-x86_64", "el 9", "9-gen1"),
    Offer("almalinux", "almalinux-x86_64", "el 9", "9-gen2", (_GEN2,)),
    Offer(
        "canonical",
        "0001-com-ubuntu-confidential-vm-jammy",
        "ubuntu 22.04",
        "22_04-lts-cvm",
        (_CVM, _GEN2),
        False,
    ),
    Offer("canonical", "0001-com-ubuntu-server-jammy", "ubuntu 22.04", "22_04-lts"),
    Offer("canonical", "0001-com-ubuntu-server-jammy", "ubuntu 22.04", "22_04-lts-gen2", (_GEN2,)),
    Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "cvm", (_CVM, _GEN2), False),
    Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "server", (_GEN2,)),
    Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04-arm64", "server-arm64", (_GEN2,)),
    Offer("canonical", "ubuntu-24_04-lts", "ubuntu 24.04", "server-gen1"),
    Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 22.04", "2204 2204-rocm", _HPC, False),
    Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 24.04", "2404", _HPC),
    Offer("microsoft-dsvm", "ubuntu-hpc", "ubuntu 24.04-arm64", "2404-arm64", _HPC),
    Offer(*_MARINER, "azurelinux 3.0", "azure-linux-3"),
    Offer(*_MARINER, "azurelinux 3.0-arm64", "azure-linux-3-arm64", (_GEN2,)),
    Offer(*_MARINER, "azurelinux 3.0", "azure-linux-3-gen2", (_GEN2,)),
    Offer("redhat", "rhel", "el 8", _RHEL_8, (_OWN,), False),
    Offer("redhat", "rhel", "el 8", _RHEL_8_GEN2, (_OWN, _GEN2), False),
    Offer("redhat", "rhel", "el 9", "9_2 9_3 9_4 9_5", (_OWN,), False),
    Offer("redhat", "rhel", "el 9", "92-gen2 93-gen2 94_gen2 95_gen2", (_OWN, _GEN2), False),
    Offer("redhat", "rhel-cvm", "el 9", "9_4_cvm", (_CVM, _GEN2, _OWN), False),
    Offer("redhat", "rhel-raw", "el 9", "9-raw", (_OWN,), False),
    Offer("redhat", "rhel-raw", "el 9", "9-raw-gen2", (_GEN2, _OWN), False),
    Offer(
        "resf",
        "rockylinux-aarch64",
        "el 9-arm64",
        "rockylinux-aarch64-9 rockylinux-aarch64-9-lvm",
        (_GEN2,),
        False,
    ),
    Offer("resf", "rockylinux-x86_64", "el 8", "8-lvm", (_GEN2,), False),
    Offer("resf", "rockylinux-x86_64", "el 9", "9-base 9-lvm", (_GEN2,), False),
)

_SERVER = ("microsoftwindowsserver", "windowsserver", "windows amd64")
_PLAIN = "datacenter datacenter-core datacenter-core-smalldisk datacenter-smalldisk"
_SECOND = "datacenter-core-g2 datacenter-core-smalldisk-g2 datacenter-smalldisk-g2"


def _server(year: str, editions: str, *capabilities: str, verified: bool = True) -> Offer:
    skus = " ".join(f"{year}-{each}" for each in editions.split())
    return Offer(*_SERVER, skus, capabilities, verified)


def _mirantis(offer: str, sku: str) -> Offer:
    return Offer("mirantis", offer, "windows amd64", sku, (_OWN, DOCKER), False)


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
    Offer("microsoft-dsvm", "dsvm-win-2019", "windows amd64", "winserver-2019", (DOCKER,), False),
    _mirantis("windows_2016_with_mirantis_container_runtime", "win_2016_mcr_20_10"),
    _mirantis("windows_2022_with_mirantis_container_runtime", "win_2022_mcr_20_10"),
    _mirantis("windows_with_mirantis_container_runtime_2019", "0001"),
)

SUPPORTED_OFFERS = (*_LINUX, *_WINDOWS)

_END_OF_XENIAL = "2021-05-21T00:00:00Z"
_END_OF_BIONIC = "2023-05-30T00:00:00Z"
_END_OF_FOCAL = "2025-04-23T00:00:00Z"
_END_OF_CENTOS = "2024-06-30T00:00:00Z"
_END_OF_DEBIAN_10 = "2024-06-30T00:00:00Z"
_END_OF_DEBIAN_11 = "2024-08-14T00:00:00Z"
_END_OF_MARINER_2 = "2025-07-30T00:00:00Z"
_END_OF_2012 = "2023-10-10T00:00:00Z"
_END_OF_CONTAINERS = "2023-04-30T00:00:00Z"
_CONTAINER = "microsoft-azure-batch"
_DRIVERS = (DOCKER, _TESLA, _GRID)
_RDMA_DRIVERS = (DOCKER, _TESLA, _RDMA, _MPI)


def _retired(publisher: str, offer: str, agent: str, skus: str, end: str, *capabilities: str) -> Offer:
    return Offer(publisher, offer, agent, skus, capabilities, verified=False, end=end)


def _ubuntu(offer: str, release: str, end: str, skus: str, *capabilities: str) -> Offer:
    return _retired("canonical", offer, f"ubuntu {release}", skus, end, *capabilities)


def _of_batch(offer: str, agent: str, skus: str, end: str, *capabilities: str) -> Offer:
    return _retired(_CONTAINER, offer, agent, skus, end, *capabilities)


def _centos(offer: str, skus: str, *capabilities: str) -> Offer:
    return _retired("openlogic", offer, "centos 7", skus, _END_OF_CENTOS, *capabilities)


RETIRED_OFFERS = (
    _retired("batch", "rendering-centos73", "centos 7", "rendering", "2024-02-29T00:00:00Z"),
    _retired("batch", "rendering-windows2016", "windows amd64", "rendering", "2024-02-29T00:00:00Z"),
    _ubuntu("0001-com-ubuntu-server-focal", "20.04", _END_OF_FOCAL, "20_04-lts"),
    _ubuntu("0001-com-ubuntu-server-focal", "20.04", _END_OF_FOCAL, "20_04-lts-gen2", _GEN2),
    _ubuntu("ubuntuserver", "16.04", _END_OF_XENIAL, "16.04-lts 16.04.0-lts"),
    _ubuntu("ubuntuserver", "16.04", _END_OF_XENIAL, "16_04-lts-gen2", _GEN2),
    _ubuntu("ubuntuserver", "18.04", _END_OF_BIONIC, "18.04-lts"),
    _ubuntu("ubuntuserver", "18.04", _END_OF_BIONIC, "18_04-lts-gen2", _GEN2),
    _retired("debian", "debian-10", "debian 10", "10", _END_OF_DEBIAN_10),
    _retired("debian", "debian-10", "debian 10", "10-gen2", _END_OF_DEBIAN_10, _GEN2),
    _retired("debian", "debian-11", "debian 11", "11", _END_OF_DEBIAN_11),
    _retired("debian", "debian-11", "debian 11", "11-gen2", _END_OF_DEBIAN_11, _GEN2),
    _of_batch("centos-container", "centos 7", "7-4 7-5 7-6 7-7 7-8 7-9", _END_OF_CENTOS, *_DRIVERS),
    _of_batch("centos-container-rdma", "centos 7", "7-4 7-6 7-7 7-8 7-9", _END_OF_CENTOS, *_RDMA_DRIVERS),
    _of_batch("ubuntu-server-container", "ubuntu 16.04", "16-04-lts", _END_OF_XENIAL, *_DRIVERS),
    _of_batch("ubuntu-server-container", "ubuntu 20.04", "20-04-lts", _END_OF_FOCAL, *_DRIVERS),
    _of_batch(
        "ubuntu-server-container-rdma", "ubuntu 16.04", "16-04-lts", _END_OF_XENIAL, DOCKER, _TESLA, _RDMA
    ),
    _of_batch("ubuntu-server-container-rdma", "ubuntu 20.04", "20-04-lts", _END_OF_FOCAL, *_RDMA_DRIVERS),
    _retired("microsoft-dsvm", "ubuntu-2004", "ubuntu 20.04", "2004 2004-gen2", _END_OF_FOCAL, _TESLA),
    _retired("microsoft-dsvm", "ubuntu-hpc", "ubuntu 18.04", "1804", _END_OF_BIONIC, _RDMA, _GEN2, _MPI),
    _retired("microsoft-dsvm", "ubuntu-hpc", "ubuntu 20.04", "2004", _END_OF_FOCAL, *_HPC),
    _retired("microsoftcblmariner", "cbl-mariner", "mariner 2.0", "cbl-mariner-2", _END_OF_MARINER_2),
    _retired(
        "microsoftcblmariner", "cbl-mariner", "mariner 2.0", "cbl-mariner-2-gen2", _END_OF_MARINER_2, _GEN2
    ),
    _centos("centos", "7.3 7.4 7.5 7.6 7.7 7_8 7_9"),
    _centos("centos", "7_8-gen2 7_9-gen2", _GEN2),
    _centos("centos-hpc", "7.1 7.3 7.4 7.6 7.7 7_9", _RDMA, _MPI),
    _centos("centos-hpc", "7_7-gen2 7_9-gen2", _RDMA, _MPI, _GEN2),
    _retired(
        *_SERVER,
        "2012-datacenter 2012-datacenter-smalldisk 2012-r2-datacenter 2012-r2-datacenter-smalldisk",
        _END_OF_2012,
    ),
    _retired(
        *_SERVER,
        "2016-datacenter-with-containers 2019-datacenter-with-containers "
        "2019-datacenter-with-containers-smalldisk 2019-datacenter-core-with-containers "
        "2019-datacenter-core-with-containers-smalldisk",
        _END_OF_CONTAINERS,
        DOCKER,
    ),
)

#: AlmaLinux for ARM and for HPC stands in no recorded list of an API version before 2024-07.
OFFERED_SINCE_2024 = ("almalinux-arm", "almalinux-hpc")
