"""Shared access signatures for the nodes: each for one thing, one right, and as long as needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, quote, urlsplit

from azure.storage.blob import (
    BlobSasPermissions,
    ContainerSasPermissions,
    UserDelegationKey,
    generate_blob_sas,
    generate_container_sas,
)

from tasks.azure.clients import blob_service
from tasks.azure.storage_accounts import at_account
from tasks.spec.lifetimes import GUARD_SECONDS, needed_until
from tasks.spec.times import find_time

# Clocks differ: a signature that starts now may not be valid yet where it is checked.
BACKDATED_SECONDS = 15 * 60
# Beyond the run's timeout: so long uploads may take before signatures have to be renewed, at which tasks that
# wait are replaced (`tasks.spec.lifetimes`). What is signed for is mostly deleted long before.
MARGIN_SECONDS = 12 * 60 * 60
# A user-delegation key lives 7 days at most (REST operation Get User Delegation Key).
ENTRA_MAX_SECONDS = 7 * 24 * 3600 - BACKDATED_SECONDS
# A new signature that would last hardly longer is none worth having.
GAINED_SECONDS = 60 * 60


@dataclass(frozen=True)
class Signer:
    """What signs, and for when: an account key or, with Entra ID, a user-delegation key."""

    account_name: str
    endpoint: str
    starts_at: datetime
    expires_at: datetime
    account_key: str | None = field(default=None, repr=False)
    user_delegation_key: UserDelegationKey | None = field(default=None, repr=False)
    others: Mapping[str, "Signer"] = field(default_factory=dict)
    """Those of other storage accounts, by their URLs."""

    def at(self, account: str) -> "Signer":
        """The signer of the storage account at a URL; "" is the run's own."""
        return self if account in ("", self.endpoint) else self.others[account]


def make_signers(timeout_seconds: float, accounts: Iterable[str]) -> Signer:
    """A signer of the run's own account, that has those of others at these URLs with it."""
    own = make_signer(timeout_seconds)
    others = {}
    for account in sorted(set(accounts) - {"", own.endpoint}):
        with at_account(account):
            others[account] = make_signer(timeout_seconds)
    return replace(own, others=others)


def make_signer(timeout_seconds: float) -> Signer:
    """A signer whose signatures outlive a run with this timeout; asks for a key if the account gave none."""
    with blob_service("Asking for a key to sign URLs with") as service:
        account_key = getattr(service.credential, "account_key", None)
        starts_at, expires_at = validity(
            datetime.now(timezone.utc), timeout_seconds, None if account_key else ENTRA_MAX_SECONDS
        )
        delegated = None if account_key else service.get_user_delegation_key(starts_at, expires_at)
    return Signer(
        service.account_name or "", service.url.rstrip("/"), starts_at, expires_at, account_key, delegated
    )


def validity(
    now: datetime, timeout_seconds: float, max_seconds: float | None = None
) -> tuple[datetime, datetime]:
    """From when to when the signatures of a run with this timeout are valid."""
    lasting = timeout_seconds + MARGIN_SECONDS
    if max_seconds is not None:
        lasting = min(lasting, max_seconds)
    return now - timedelta(seconds=BACKDATED_SECONDS), now + timedelta(seconds=lasting)


def sign_until(timeout_seconds: float) -> datetime:
    """Until when signatures are valid, at least, that a run with this timeout makes from now on."""
    return validity(datetime.now(timezone.utc), timeout_seconds, ENTRA_MAX_SECONDS)[1].replace(microsecond=0)


def why_too_short(signer: Signer, timeout_seconds: float) -> str | None:
    """Why signatures may end before what a run with this timeout needs them for; None if they don't."""
    most = ENTRA_MAX_SECONDS - GUARD_SECONDS
    if signer.account_key or timeout_seconds <= most:
        return None
    return (
        f"Without a key of the storage account, signatures last for seven days: a task that ends later, "
        f"or a node that comes later, fails. Take at most timeout_seconds={most}, or give the account's key."
    )


def is_lasting(expires_at: datetime | None, timeout_seconds: float) -> bool:
    """Whether a signature does for what begins before somebody looks again, in a run with this timeout; or at
    least as well as any that an account without a key can give."""
    now = datetime.now(timezone.utc)
    most = now + timedelta(seconds=ENTRA_MAX_SECONDS - GAINED_SECONDS)
    return expires_at is not None and expires_at >= min(needed_until(now, timeout_seconds), most)


def read_expiry(url: str | None) -> datetime | None:
    """When the signature of a URL ends; None if it has none that says so."""
    return find_time(parse_qs(urlsplit(url or "").query).get("se", [None])[0])


def read_blob_url(signer: Signer, container: str, blob: str) -> str:
    """A URL that reads one blob and nothing else."""
    token = generate_blob_sas(
        signer.account_name,
        container,
        blob,
        permission=BlobSasPermissions(read=True),
        **_signing_options(signer),
    )
    return f"{signer.endpoint}/{container}/{quote(blob, safe='/~')}?{token}"


def read_container_url(signer: Signer, container: str) -> str:
    """A URL that reads and lists the blobs of one container, and nothing else."""
    permission = ContainerSasPermissions(read=True, list=True)
    token = generate_container_sas(
        signer.account_name, container, permission=permission, **_signing_options(signer)
    )
    return f"{signer.endpoint}/{container}?{token}"


def write_container_url(signer: Signer, container: str) -> str:
    """A URL that writes blobs into one container, and neither reads, lists nor deletes."""
    permission = ContainerSasPermissions(create=True, write=True)
    token = generate_container_sas(
        signer.account_name, container, permission=permission, **_signing_options(signer)
    )
    return f"{signer.endpoint}/{container}?{token}"


def _signing_options(signer: Signer) -> dict:
    return {
        "account_key": signer.account_key,
        "user_delegation_key": signer.user_delegation_key,
        "start": signer.starts_at,
        "expiry": signer.expires_at,
        # Plain HTTP is accepted only where the endpoint itself has nothing else.
        "protocol": "https" if signer.endpoint.startswith("https:") else "https,http",
    }
