"""What is loaded when it is first used: the certificates of authorities, and modules."""

import ssl
import sys
from pathlib import Path

import certifi
import pytest

from tasks.base.late_certificates import certificates_read_late
from tasks.base.late_modules import load_late
from tests.certificates import make_certificate


def count_read(context: ssl.SSLContext) -> int:
    """How many certificates a context has read so far."""
    return super(ssl.SSLContext, context).cert_store_stats()["x509_ca"]


def say_hello(context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A client that has sent its first words, with its ways in and out."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return client, incoming, outgoing


def test_certificates_are_read_when_a_context_is_first_used():
    """Not before, and then all, whether it connects or is asked; afterwards it is one like any other."""
    with certificates_read_late():
        connects, is_asked = (ssl.create_default_context(cafile=certifi.where()) for _ in range(2))
        is_default = ssl.create_default_context()
    assert [count_read(one) for one in (connects, is_asked, is_default)] == [0, 0, 0]
    say_hello(connects)
    expected = ssl.create_default_context(cafile=certifi.where()).cert_store_stats()
    assert count_read(connects) == expected["x509_ca"] > 0
    assert is_asked.cert_store_stats() == expected
    assert is_default.get_ca_certs() == ssl.create_default_context().get_ca_certs()
    assert {type(one) for one in (connects, is_asked, is_default)} == {ssl.SSLContext}


def test_a_context_that_reads_late_refuses_strangers(tmp_path: Path):
    """A server whose certificate no authority has signed is refused, as ever."""
    certificate, key = make_certificate(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    with certificates_read_late():
        context = ssl.create_default_context(cafile=certifi.where())
    client, to_client, from_client = say_hello(context)
    server = server_side.wrap_bio(from_client, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.do_handshake()


def test_a_file_of_somebodys_own_is_read_at_once(tmp_path: Path):
    """What is wrong with it is said where it is named."""
    certificate, _ = make_certificate(tmp_path)
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate\n")
    with certificates_read_late():
        assert count_read(ssl.create_default_context(cafile=str(certificate))) == 1
        for path, problem in ((broken, ssl.SSLError), (tmp_path / "missing.pem", FileNotFoundError)):
            with pytest.raises(problem):
                ssl.create_default_context(cafile=str(path))


def test_contexts_read_at_once_outside_of_the_block():
    """Blocks may overlap: the last one that ends ends it."""
    with certificates_read_late():
        with certificates_read_late():
            pass
        assert count_read(ssl.create_default_context(cafile=certifi.where())) == 0
    assert count_read(ssl.create_default_context(cafile=certifi.where())) > 0


def test_a_module_is_loaded_when_something_of_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever has imported it has it then, whoever imports it later gets it itself; a look through all
    modules loads nothing."""
    (tmp_path / "late_one.py").write_text("import sys\nsys.late_one_is_loaded = True\nNUMBER = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delattr(sys, "late_one_is_loaded", raising=False)
    load_late("late_one")
    try:
        import late_one  # pyright: ignore[reportMissingImports]

        assert not hasattr(late_one, "__file__")
        assert not hasattr(sys, "late_one_is_loaded")
        assert late_one.NUMBER == 7
        assert hasattr(sys, "late_one_is_loaded")
        from late_one import NUMBER  # pyright: ignore[reportMissingImports]

        assert NUMBER == 7
        assert sys.modules["late_one"].__file__ == str(tmp_path / "late_one.py")
        load_late("late_one")
        assert sys.modules["late_one"].__file__
    finally:
        monkeypatch.delattr(sys, "late_one_is_loaded", raising=False)
        sys.modules.pop("late_one", None)
