"""What the playbook asks of an inventory and of the academy's certificate, in its own words."""

from __future__ import annotations

import datetime as dt
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
ROLES = ROOT / "ansible" / "roles"
NAME = "tutor.academy.example"
DAY = dt.timedelta(days=1)


def plugin(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "ansible" / "plugins" / "filter" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


CERTIFICATE, INVENTORY = plugin("certificate"), plugin("inventory")


@dataclass
class Files:
    """An academy's PEM files."""

    certificate: Path
    key: Path
    authority: Path

    def fault(self, name: str = NAME) -> str:
        """What the playbook says to them."""
        return str(CERTIFICATE.fault(str(self.certificate), str(self.key), str(self.authority), name))


def issue(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    days_left: int = 90,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 400 * DAY)
        .not_valid_after(now + days_left * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def private(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def academy(directory: Path, days_left: int = 90, name: str = NAME) -> Files:
    """A CA and a certificate by it, for one name and no address."""
    directory.mkdir(parents=True, exist_ok=True)
    files = Files(directory / "server.crt", directory / "server.key", directory / "ca.crt")
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    files.authority.write_bytes(
        issue("The academy's CA", root, "The academy's CA", root, authority=True).public_bytes(pem)
    )
    made = issue(name, key, "The academy's CA", root, days_left=days_left)
    files.certificate.write_bytes(made.public_bytes(pem))
    files.key.write_bytes(private(key))
    return files


def test_certificate_that_apps_take_is_taken(tmp_path: Path) -> None:
    assert academy(tmp_path).fault() == ""


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    files = academy(tmp_path)
    files.key.write_bytes(private(ec.generate_private_key(ec.SECP256R1())))
    assert files.fault() == f"{files.key} is not the key of {files.certificate}: name the two that were made together."


def test_key_with_a_passphrase_is_refused_and_asks_nobody(tmp_path: Path) -> None:
    files = academy(tmp_path)
    files.key.write_bytes(private(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    assert "the key without a passphrase" in files.fault()


def test_expired_certificate_is_refused(tmp_path: Path) -> None:
    assert academy(tmp_path, days_left=-1).fault() == "Apps would refuse the certificate: certificate has expired."


def test_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    said = academy(tmp_path).fault("tutor.other.example")
    assert said.startswith("Apps would refuse the certificate: Hostname mismatch")
    assert "'tutor.other.example'" in said


def test_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    files, other = academy(tmp_path), academy(tmp_path / "other")
    files.authority = other.authority
    assert files.fault().startswith("Apps would refuse the certificate: ")


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    files = academy(tmp_path)
    files.authority.unlink()
    assert (
        files.fault() == f"There is no file '{files.authority}' where Ansible runs: set tls_ca_file to the whole path."
    )


def test_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    files = academy(tmp_path)
    files.authority.write_text("none", encoding="ascii")
    assert "holds no certificate in PEM" in files.fault()
    files = academy(tmp_path)
    files.certificate.write_text("none", encoding="ascii")
    assert "must be PEM files" in files.fault()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("appliance_lan_subnet", "There is no variable 'appliance_lan_subnet'. Did you mean appliance_lan_subnets?"),
        ("tls_sourse", "There is no variable 'tls_sourse'. Did you mean tls_source?"),
        ("appliance_zzz", "There is no variable 'appliance_zzz'. docs/installation.md lists them."),
    ],
)
def test_misspelt_variable_is_refused_with_the_one_that_is_meant(name: str, said: str) -> None:
    assert INVENTORY.unknown_variable(["ansible_host", "appliance_name", name], str(ROLES)) == said


def test_variables_of_roles_and_of_others_are_let_pass() -> None:
    names = ["ansible_host", "appliance_name", "preflight_spare_disk_gib", "tls_source", "inventory_dir", "kit_checked"]
    assert INVENTORY.unknown_variable(names, str(ROLES)) == ""
