"""Certificates in the pure core, and what is read of one."""

from __future__ import annotations

import base64

import pytest

from batch_emulator.api.bodies.certificates import CertificateAdd
from batch_emulator.errors import BatchError
from batch_emulator.scheduler import certificates, pools
from tests.unit.emulator.driver import Driver

NAME = ("sha1", "ab")
REFERENCE = {"certificateReferences": [{"thumbprint": "ab", "thumbprintAlgorithm": "sha1"}]}


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.do(
        certificates.add_certificate, {"thumbprint": "ab", "thumbprintAlgorithm": "sha1"}, "public data"
    )
    return driver


def code_of(driver: Driver, command, *arguments) -> str:
    with pytest.raises(BatchError) as caught:
        driver.do(command, *arguments)
    return caught.value.code


def read(data: str) -> CertificateAdd:
    return CertificateAdd.model_validate({"thumbprint": "a", "thumbprintAlgorithm": "sha1", "data": data})


def test_one_that_nobody_names_goes(driver):
    """It is deleted after a while, and can be added anew only then."""
    driver.do(certificates.delete_certificate, *NAME)
    assert code_of(driver, certificates.cancel_deletion, *NAME) == "CertificateBeingDeleted"
    again = {"thumbprint": "AB", "thumbprintAlgorithm": "SHA1"}
    assert code_of(driver, certificates.add_certificate, again, None) == "CertificateBeingDeleted"
    driver.pass_seconds(1)
    assert code_of(driver, certificates.delete_certificate, *NAME) == "CertificateNotFound"
    driver.do(certificates.add_certificate, again, None)


def test_one_that_a_pool_names_stays(driver):
    """Its deletion fails and says which pool names it; that is taken back, or tried again later."""
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", **REFERENCE})
    driver.do(certificates.delete_certificate, *NAME)
    driver.pass_seconds(1)
    found = certificates.find_certificate(driver.world, *NAME)
    assert (found.state, found.previous_state) == ("deletefailed", "deleting")
    assert found.error is not None
    assert found.error["code"] == "PoolsReferencingCertificate"
    assert found.error["values"] == [{"name": "Pools", "value": "pool"}]
    driver.do(certificates.cancel_deletion, *NAME)
    assert (found.state, found.error) == ("active", None)
    assert code_of(driver, certificates.cancel_deletion, *NAME) == "CertificateStateActive"
    driver.do(pools.change_pool, "pool", {"certificateReferences": []})
    driver.do(certificates.delete_certificate, *NAME)
    driver.pass_seconds(1)
    assert not driver.world.store.certificates


def test_pools_name_only_what_is_there(driver):
    """Adding, patching and replacing refuse a certificate that the account does not have."""
    driver.do(pools.add_pool, {"id": "pool", "vmSize": "standard_d2s_v3", **REFERENCE})
    wrong = {"certificateReferences": [{"thumbprint": "cd", "thumbprintAlgorithm": "sha1"}]}
    other = {"id": "other", "vmSize": "standard_d2s_v3", **wrong}
    for command in ((pools.add_pool, other), (pools.change_pool, "pool", wrong)):
        assert code_of(driver, *command) == "InvalidCertificateReferences"
    assert code_of(driver, pools.replace_pool_properties, "pool", wrong) == "InvalidCertificateReferences"


def test_public_part_of_a_pfx_is_read():
    """A certificate that stands unencrypted in a PFX file is told; of another file nothing is."""
    certificate = bytes.fromhex("30820102") + b"c" * 258
    octets = b"\x04\x82" + len(certificate).to_bytes(2, "big") + certificate
    pfx = b"before" + bytes.fromhex("060a2a864886f70d01091601") + b"\xa0\x82" + len(octets).to_bytes(2, "big")
    given = base64.b64encode(pfx + octets + b"after").decode()
    body = read(given)
    assert body.public_data() == base64.b64encode(certificate).decode()
    encrypted = base64.b64encode(b"nothing to see").decode()
    body = CertificateAdd.model_validate(
        {"thumbprint": "a", "thumbprintAlgorithm": "sha1", "data": encrypted}
    )
    assert body.public_data() is None
