"""Operations on certificates, for the API versions before 2025-06-01, which has none of them."""

from __future__ import annotations

from starlette.responses import Response

from batch_emulator.api.answers import changed, created, element, plain
from batch_emulator.api.bodies.certificates import CertificateAdd, parse_name
from batch_emulator.api.call import Call, read_body
from batch_emulator.api.fields import CERTIFICATES
from batch_emulator.api.listing import behind, list_page, read_filter, start_key
from batch_emulator.errors import BatchError
from batch_emulator.resources.model import Certificate, Wire
from batch_emulator.scheduler import certificates
from batch_emulator.ticks import format_ticks

_ENDED = "2025-06"


def add_certificate(call: Call) -> Response:
    call.require_before(_ENDED)
    body = read_body(call, CertificateAdd, "certificates")
    found = call.do(certificates.add_certificate, body.to_wire(), body.public_data())
    name = f"ThumbprintAlgorithm={found.algorithm},Thumbprint={found.thumbprint}"
    return created(call, None, f"{call.base_url}/certificates({name})")


def list_certificates(call: Call) -> Response:
    call.require_before(_ENDED)
    candidates = behind(call.store.certificates, start_key(call))
    wanted = read_filter(call, CERTIFICATES)
    return list_page(call, "certificates", candidates, lambda each: render(each, call.base_url), wanted)


def get_certificate(call: Call) -> Response:
    found = certificates.find_certificate(call.engine.world, *_name(call))
    # The URL is told as it was asked for, as recorded.
    return element(call, "certificates", None, render(found, call.base_url) | {"url": call.url})


def delete_certificate(call: Call) -> Response:
    call.do(certificates.delete_certificate, *_name(call))
    return plain(202)


def cancel_deletion(call: Call) -> Response:
    call.do(certificates.cancel_deletion, *_name(call))
    return changed(call, None, 204)


def _name(call: Call) -> tuple[str, str]:
    call.require_before(_ENDED)
    found = parse_name(call.parameters["certificate"])
    if found is None:
        raise BatchError("InvalidUri")
    return found


def render(certificate: Certificate, base_url: str) -> Wire:
    """A certificate, as Get Certificate answers it."""
    name = f"thumbprintAlgorithm={certificate.algorithm},thumbprint={certificate.thumbprint}"
    wire: Wire = {
        "thumbprint": certificate.thumbprint,
        "thumbprintAlgorithm": certificate.algorithm,
        "url": f"{base_url}/certificates({name})",
        "state": certificate.state,
        "stateTransitionTime": format_ticks(certificate.state_since),
    }
    if certificate.previous_state and certificate.previous_state_since:
        wire["previousState"] = certificate.previous_state
        wire["previousStateTransitionTime"] = format_ticks(certificate.previous_state_since)
    if certificate.public_data is not None:
        wire["publicData"] = certificate.public_data
    if certificate.error is not None:
        wire["deleteCertificateError"] = certificate.error
    return wire


_CERTIFICATE = "/certificates({certificate})"

ROUTES = [
    ("GET", "/certificates", list_certificates),
    ("POST", "/certificates", add_certificate),
    ("GET", _CERTIFICATE, get_certificate),
    ("DELETE", _CERTIFICATE, delete_certificate),
    ("POST", f"{_CERTIFICATE}/canceldelete", cancel_deletion),
]
