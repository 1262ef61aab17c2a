"""What can be set on the local Batch service, field by field."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from batch_emulator.faults.rules import Faults
from batch_emulator.node.simulation import Simulation

DEFAULT_PORT = 10003
DEFAULT_ACCOUNT = "devbatchaccount1"
#: A well-known key, as Azurite has one: it protects nothing and is written in the documentation.
DEFAULT_KEY = "ZGV2YmF0Y2hhY2NvdW50MSBsb2NhbCBCYXRjaCBzZXJ2aWNlIHdlbGwta25vd24ga2V5ISEhIQ=="
#: Environment variable of the command line that has the account's key.
KEY_VARIABLE = "BATCH_EMULATOR_KEY"


class _Paced(float):
    """A time that was not set itself: it goes with the pace."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one local Batch service. Its time runs `speed` times as fast as real time."""

    account: str = DEFAULT_ACCOUNT
    """Name of the one Batch account that is served."""

    key: str = field(default=DEFAULT_KEY, repr=False)
    """Its shared key, base64. Anything that speaks to the service signs with it."""

    host: str = "127.0.0.1"
    """Address to bind. Loopback, because whoever can sign can run programs here; any other needs a key of its
    own, the default one being known to everybody."""

    port: int = DEFAULT_PORT
    """TCP port; 0 takes a free one."""

    certificate: Path | None = None
    """PEM file of the certificate to serve HTTPS with, its chain after it. None: plain HTTP."""

    certificate_key: Path | None = None
    """PEM file of the certificate's private key. Needed with a certificate."""

    oauth: str | None = None
    """`basic` takes Microsoft Entra access tokens beside the key: audience, issuer and lifetime are checked,
    the signature is not, as with Azurite. Needs a certificate: clients send no token over plain HTTP."""

    location: Path | None = None
    """Folder for node directories and kept state. None: a temporary one, removed at the end, nothing kept."""

    speed: float = 1.0
    """Seconds of the service that pass in one real second. Speeds up the waits below, intervals
    and retention, never the commands of tasks."""

    pace: str = "person"
    """How long nodes, pools and jobs take for what they do, where the times below are not set themselves:
    `azure` takes about as long as Azure, `instant` no time, `person` as long as suits who tries it."""

    simulate: Simulation | None = None
    """Run no process: tasks take the time, and end, as this rule or their own environment settings say.
    None: they are run."""

    containers: str = "refuse"
    """What becomes of container tasks: `refuse` answers that there are no containers here; `docker`, `podman`
    or `engine`, the one that is there, runs them in containers of this machine; `host` runs their commands as
    processes of this machine, where image, registry and options have no effect."""

    node_allocation_seconds: float = _Paced(0.2)
    """Time from a resize to the new nodes' appearance in state `creating`."""

    node_boot_seconds: float = _Paced(0.3)
    """Time a node spends in `creating`, and again in `starting`. Azure takes minutes; tests want none."""

    node_reboot_seconds: float = _Paced(0.5)
    """Time a node spends in `rebooting`, `reimaging` or `deallocating`."""

    node_removal_seconds: float = _Paced(0.2)
    """Time a drained node spends in `leavingpool`."""

    deletion_seconds: float = _Paced(0.2)
    """Time a pool or job without anything running stays in `deleting`."""

    job_transition_seconds: float = _Paced(0.1)
    """Time a job without running tasks stays in `terminating` or `disabling`."""

    node_replacement_seconds: float = _Paced(1.0)
    """Time a preempted Spot node stays `preempted` until there is capacity to replace it."""

    stop_grace_seconds: float = 5.0
    """Real seconds between SIGTERM and SIGKILL of a task's processes."""

    core_quota: int = 1000
    """Dedicated cores of the account. More are not allocated: resize error `AccountCoreQuotaReached`."""

    spot_core_quota: int = 1000
    """The same for Spot (low-priority) nodes: `AccountLowPriorityCoreQuotaReached`."""

    pool_quota: int = 100
    """Pools of the account; one more is refused with `PoolQuotaReached`."""

    active_job_quota: int = 300
    """Active jobs and job schedules; one more is refused with `ActiveJobAndScheduleQuotaReached`."""

    faults: Faults = field(default_factory=Faults)
    """What goes wrong, and how often. Nothing by default; the control API changes it in a running service."""

    @property
    def runs_containers(self) -> bool:
        """Whether container tasks run in containers."""
        return self.containers not in ("refuse", "host")

    def __post_init__(self) -> None:
        for name, seconds in PACES.get(self.pace, {}).items():
            if isinstance(getattr(self, name), _Paced):
                object.__setattr__(self, name, _Paced(seconds))


_TIMES = (
    "node_allocation_seconds",
    "node_boot_seconds",
    "node_reboot_seconds",
    "node_removal_seconds",
    "deletion_seconds",
    "job_transition_seconds",
    "node_replacement_seconds",
)
_DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(Settings)}
#: What `Settings.containers` may be.
CONTAINERS = ("refuse", "host", "engine", "docker", "podman")

PACES: dict[str, dict[str, float]] = {
    # As in recordings: nodes are idle after three to four minutes, jobs gone after five to six seconds.
    "azure": dict(zip(_TIMES, (30.0, 90.0, 90.0, 60.0, 6.0, 3.0, 300.0), strict=True)),
    "person": {name: float(_DEFAULTS[name]) for name in _TIMES},
    "instant": dict.fromkeys(_TIMES, 0.0),
}
"""What each pace makes of the times."""


def check(settings: Settings) -> None:
    """ValueError, with what to do, for settings that cannot be served or are not safe. Tells no secret."""
    try:
        key_bytes = base64.b64decode(settings.key, validate=True)
    except ValueError as error:
        raise ValueError(f"the account key is not base64 ({error}); Azure's own have 64 bytes") from None
    if not key_bytes:
        raise ValueError("the account key is empty")
    if (settings.certificate is None) != (settings.certificate_key is None):
        raise ValueError("a certificate and its private key are needed together (--cert and --key-file)")
    if settings.oauth not in (None, "basic"):
        raise ValueError(f"there is no OAuth level {settings.oauth!r}: it is basic, or left out")
    if settings.oauth and not settings.certificate:
        raise ValueError("access tokens need HTTPS: give a certificate and its key (--cert and --key-file)")
    if not is_loopback(settings.host) and settings.key == DEFAULT_KEY:
        raise ValueError(
            f"who can reach {settings.host} knows the default key: give another one ({KEY_VARIABLE})"
        )
    if settings.containers not in CONTAINERS:
        raise ValueError(f"container tasks can't be {settings.containers!r}: it is {', '.join(CONTAINERS)}")
    if settings.pace not in PACES:
        raise ValueError(f"there is no pace {settings.pace!r}: it is {', '.join(PACES)}")
    if not settings.speed > 0:
        raise ValueError("the speed of the service's time must be above zero")


def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is of this machine alone. No name is looked up."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
