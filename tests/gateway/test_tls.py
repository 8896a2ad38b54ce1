"""TLS of the public listener: real handshakes, the official client, a renewed certificate, and what is refused."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from appliance.errors import CertificateUnusable
from appliance.gateway.tls import Certificate
from tests.gateway import certificates
from tests.gateway.certificates import Pair

NOW = time.time()


@pytest.fixture(scope="module")
def authority() -> Pair:
    return certificates.make("Test CA")


@pytest.fixture(scope="module")
def server(authority: Pair) -> Pair:
    return certificates.make("box", authority)


def served(certificate: Certificate, maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> bytes:
    """The certificate that a client without a server name is shown, in DER."""
    ours, theirs = socket.socketpair()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.minimum_version, client.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, maximum

    def answer() -> None:
        with contextlib.suppress(ssl.SSLError, OSError), certificate.context.wrap_socket(ours, server_side=True):
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(theirs) as connection:
            return connection.getpeercert(binary_form=True) or b""
    finally:
        theirs.close()
        thread.join(10)
        ours.close()


def der(pair: Pair) -> bytes:
    return pair.certificate.public_bytes(Encoding.DER)


def test_certificate_is_shown_to_a_client_that_names_no_server(server: Pair, tmp_path: Path) -> None:
    assert served(Certificate(*server.write(tmp_path), NOW)) == der(server)


def test_versions_before_tls_1_2_are_refused(server: Pair, tmp_path: Path) -> None:
    certificate = Certificate(*server.write(tmp_path), NOW)
    assert served(certificate, ssl.TLSVersion.TLSv1_2) == der(server)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionError)):
        served(certificate, ssl.TLSVersion.TLSv1_1)


def test_renewed_pair_is_taken_in_one_step(authority: Pair, server: Pair, tmp_path: Path) -> None:
    certificate = Certificate(*server.write(tmp_path), NOW)
    assert certificate.renew_if_changed(NOW) is False
    renewed = certificates.make("box", authority, days=60)
    renewed.write(tmp_path)
    assert certificate.renew_if_changed(NOW) is True
    assert served(certificate) == der(renewed)


def test_half_of_a_renewed_pair_is_not_taken(authority: Pair, server: Pair, tmp_path: Path) -> None:
    certificate = Certificate(*server.write(tmp_path), NOW)
    renewed = certificates.make("box", authority)
    (tmp_path / "server.crt").write_bytes(renewed.pem)
    assert certificate.renew_if_changed(NOW) is False
    assert served(certificate) == der(server)
    (tmp_path / "server.key").write_bytes(renewed.key_pem)
    assert certificate.renew_if_changed(NOW) is True
    assert served(certificate) == der(renewed)


def test_files_that_went_away_end_nothing(server: Pair, tmp_path: Path) -> None:
    certificate = Certificate(*server.write(tmp_path), NOW)
    (tmp_path / "server.crt").unlink()
    assert certificate.renew_if_changed(NOW) is False
    assert served(certificate) == der(server)


def test_unreadable_file_is_named_with_a_remedy(server: Pair, tmp_path: Path) -> None:
    crt, _ = server.write(tmp_path)
    with pytest.raises(CertificateUnusable, match=r"The TLS key .*none\.key cannot be read: No such file") as caught:
        Certificate(crt, tmp_path / "none.key", NOW)
    assert "gateway.tls_key_path" in caught.value.remedy


def test_key_of_another_certificate_is_refused(authority: Pair, server: Pair, tmp_path: Path) -> None:
    crt, key = server.write(tmp_path)
    key.write_bytes(certificates.make("other", authority).key_pem)
    with pytest.raises(CertificateUnusable, match="does not belong"):
        Certificate(crt, key, NOW)


def test_expired_certificate_is_refused_with_its_day(authority: Pair, tmp_path: Path) -> None:
    old = certificates.make("box", authority, days=-1)
    with pytest.raises(CertificateUnusable, match=r"has expired on \d{4}-\d\d-\d\d"):
        Certificate(*old.write(tmp_path), NOW)


def test_key_with_a_passphrase_is_refused(server: Pair, tmp_path: Path) -> None:
    crt, key = server.write(tmp_path)
    key.write_bytes(server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(CertificateUnusable, match="passphrase"):
        Certificate(crt, key, NOW)


@pytest.mark.parametrize("file", ["server.crt", "server.key"])
def test_file_that_is_no_pem_is_refused(server: Pair, tmp_path: Path, file: str) -> None:
    paths = server.write(tmp_path)
    (tmp_path / file).write_bytes(b"\x00nonsense")
    with pytest.raises(CertificateUnusable, match="not PEM"):
        Certificate(*paths, NOW)
