"""Certificates, of the API versions that had them: added, named by pools, deleted."""

from __future__ import annotations

from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Certificate, Wire, certificate_key
from batch_emulator.scheduler.world import World


def add_certificate(world: World, spec: Wire, public_data: str | None) -> Certificate:
    """Add a certificate (`spec` normalised)."""
    found = world.store.certificates.get(certificate_key(spec["thumbprintAlgorithm"], spec["thumbprint"]))
    if found is not None:
        raise BatchError("CertificateBeingDeleted" if found.state == "deleting" else "CertificateExists")
    certificate = Certificate(
        spec["thumbprint"], spec["thumbprintAlgorithm"], public_data, created=world.now, state_since=world.now
    )
    world.store.add_certificate(certificate)
    return certificate


def find_certificate(world: World, algorithm: str, thumbprint: str) -> Certificate:
    """The certificate, or CertificateNotFound."""
    found = world.store.certificates.get(certificate_key(algorithm, thumbprint))
    if found is None:
        raise BatchError("CertificateNotFound")
    return found


def delete_certificate(world: World, algorithm: str, thumbprint: str) -> None:
    """Begin to delete it. Whether a pool still names it shows when that should be over."""
    certificate = find_certificate(world, algorithm, thumbprint)
    if certificate.state == "deleting":
        raise BatchError("CertificateBeingDeleted")
    world.store.move_certificate(certificate, "delete", world.now)
    certificate.error = None
    world.after(world.settings.deletion_seconds, _remove, certificate.key, certificate.created)


def cancel_deletion(world: World, algorithm: str, thumbprint: str) -> None:
    """Take back a deletion that has failed."""
    certificate = find_certificate(world, algorithm, thumbprint)
    if certificate.state == "active":
        raise BatchError("CertificateStateActive")
    if certificate.state == "deleting":
        raise BatchError("CertificateBeingDeleted")
    world.store.move_certificate(certificate, "cancel", world.now)
    certificate.error = None


def _remove(world: World, certificate_key: str, created: int) -> None:
    certificate = world.store.certificates.get(certificate_key)
    if certificate is None or certificate.created != created or certificate.state != "deleting":
        return
    pools = [pool.id for pool in world.store.pools.values() if certificate_key in _named(pool.spec)]
    if not pools:
        world.store.remove_certificate(certificate)
        return
    certificate.error = {
        "code": "PoolsReferencingCertificate",
        "message": "The specified certificate is being used by the below mentioned pool(s)",
        "values": [{"name": "Pools", "value": ",".join(pools)}],
    }
    world.store.move_certificate(certificate, "fail", world.now)


def refuse_missing(world: World, pool_spec: Wire) -> None:
    """409 InvalidCertificateReferences, naming each certificate of a pool that the account does not have."""
    missing = [each for each in _named(pool_spec) if each not in world.store.certificates]
    if missing:
        values = [(each, "The specified certificate does not exist.") for each in missing]
        raise BatchError("InvalidCertificateReferences", *values)


def _named(pool_spec: Wire) -> list[str]:
    references = pool_spec.get("certificateReferences") or []
    return [certificate_key(each["thumbprintAlgorithm"], each["thumbprint"]) for each in references]
