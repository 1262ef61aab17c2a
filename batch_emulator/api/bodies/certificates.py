"""The body of Add Certificate."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field, model_validator

from batch_emulator.api.bodies.base import Body
from batch_emulator.api.bodies.scalars import Choice, Lower, NonEmpty
from batch_emulator.errors import invalid_property

#: A certificate that stands in a PFX file as it is: the object identifier 1.2.840.113549.1.9.22.1.
_X509_CERTIFICATE = bytes.fromhex("060a2a864886f70d01091601")


class CertificateAdd(Body):
    thumbprint: Annotated[Lower, Field(min_length=1)]
    thumbprint_algorithm: Annotated[Lower, Field(min_length=1)]
    data: NonEmpty
    certificate_format: Choice[Literal["pfx", "cer"]] = "pfx"
    password: Annotated[str | None, Field(exclude=True)] = None

    @model_validator(mode="after")
    def check(self) -> CertificateAdd:
        if self.thumbprint_algorithm != "sha1":
            raise invalid_property("thumbprintAlgorithm", self.thumbprint_algorithm, "It must be sha1")
        if self.certificate_format == "cer" and self.password:
            raise invalid_property("password", "", "It must be omitted if the certificate format is cer")
        try:
            base64.b64decode(self.data, validate=True)
        except binascii.Error:
            raise invalid_property("data", "", "The value is not base64") from None
        return self

    def public_data(self) -> str | None:
        """The certificate without its key, base64; None where a PFX file has it encrypted."""
        if self.certificate_format == "cer":
            return self.data
        found = _find_certificate(base64.b64decode(self.data))
        return None if found is None else base64.b64encode(found).decode()


def _find_certificate(pfx: bytes) -> bytes | None:
    _, found, rest = pfx.partition(_X509_CERTIFICATE)
    try:
        # [0] with an OCTET STRING, whose content it is.
        return _content(_content(rest)) if found else None
    except IndexError:
        return None


def _content(der: bytes) -> bytes:
    """That of the first value of DER-encoded ones."""
    length, begin = der[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[2:begin], "big")
    return der[begin : begin + length]


def parse_name(text: str) -> tuple[str, str] | None:
    """The algorithm and thumbprint in a certificate's URL: `thumbprintAlgorithm=sha1,thumbprint=ab`."""
    parts = [part.partition("=") for part in text.lower().split(",")]
    values = {name: value for name, _, value in parts}
    if values.keys() != {"thumbprintalgorithm", "thumbprint"}:
        return None
    return values["thumbprintalgorithm"], values["thumbprint"]
