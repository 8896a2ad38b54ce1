"""The end of real certificates is read from real files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from appliance.health import certificate

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
AT = NOW.timestamp()


def pem(days: float, *, begins: timedelta = timedelta(days=-1)) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "appliance.academy.lan")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begins)
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def test_both_certificates_are_read(tmp_path: Path) -> None:
    server, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    server.write_bytes(pem(20))
    ca.write_bytes(pem(3000))
    outcome = certificate.look({"server": server, "ca": ca}, AT)
    assert [finding.state for finding in outcome.findings] == ["warning", "good"]
    ends = {sample.labels: sample.value for sample in outcome.samples}
    assert ends == {("server",): AT + 20 * 86_400, ("ca",): AT + 3000 * 86_400}


def test_chain_ends_with_the_first_of_its_certificates(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pem(300) + pem(5) + pem(900))
    outcome = certificate.look({"server": chain, "ca": None}, AT)
    assert [sample.value for sample in outcome.samples] == [AT + 5 * 86_400]
    assert outcome.looked


def test_certificate_that_begins_later_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(pem(90, begins=timedelta(hours=9)))  # a clock without its time zone
    assert certificate.look({"server": path}, AT).findings[0].text.english == "not valid yet"


def test_file_that_is_no_certificate_is_no_verdict_and_the_other_is_still_read(tmp_path: Path) -> None:
    ca, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.write_bytes(pem(300))
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for wrong in (key, tmp_path / "missing.pem", tmp_path):
        outcome = certificate.look({"server": wrong, "ca": ca}, AT)
        assert [finding.state for finding in outcome.findings] == ["unknown", "good"]
        assert str(wrong) in outcome.findings[0].text.english
        assert not outcome.looked
        assert [sample.labels for sample in outcome.samples] == [("ca",)]


def test_box_without_tls_has_no_series() -> None:
    outcome = certificate.look({"server": None, "ca": None}, AT)
    assert (outcome.samples, outcome.findings[0].state) == ((), "off")
