"""TLS of the public listener: its certificate, looked through before it is used, and renewed while it serves."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from appliance import logs
from appliance.errors import CertificateUnusable

_log = logs.get(__name__)
#: How often the files are looked at for a renewed certificate.
LOOK_SECONDS = 30.0
_STAPLE = "Set gateway.tls_certificate_path and gateway.tls_key_path"
#: A file's identity and content, as far as ``stat(2)`` tells.
_Mark = tuple[int, int, int]


class Certificate:
    """Certificate and key of a listener, and the context that answers with them.

    Args:
        certificate_path: PEM, the server's own certificate first.
        key_path: PEM, no passphrase.
        now: Unix seconds.

    Raises:
        CertificateUnusable: a file cannot be read or is no PEM, the two do not belong together, or it has expired.
    """

    def __init__(self, certificate_path: Path, key_path: Path, now: float) -> None:
        self._certificate_path = certificate_path
        self._key_path = key_path
        self._marks = self._look()
        #: Answers with the pair that is current when a connection opens.
        self.context = self._current = self._load(now)
        # In one step, so that no connection meets a new certificate with an old key. Clients that name no server are
        # passed through here, too.
        self.context.sni_callback = self._choose

    def renew_if_changed(self, now: float) -> bool:
        """Take files that have changed; new connections get the new certificate. Whether it was taken.

        What cannot be used is logged, and the old certificate stays.

        Args:
            now: Unix seconds.
        """
        marks = self._look()
        if marks == self._marks:
            return False
        self._marks = marks
        return self.renew(now)

    def renew(self, now: float) -> bool:
        """Take the files as they are now; see :meth:`renew_if_changed`."""
        try:
            self._current = self._load(now)
        except CertificateUnusable as err:
            _log.error("renewed certificate not taken", reason=err.message, remedy=err.remedy)
            return False
        _log.info("certificate renewed")
        return True

    def _choose(self, connection: ssl.SSLObject, _server_name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self, now: float) -> ssl.SSLContext:
        certificate = self._read(self._certificate_path, "certificate")
        key = self._read(self._key_path, "key")
        _check(certificate, key, now)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The gateway speaks HTTP/1.1 alone.
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate_path, self._key_path)
        except ssl.SSLError as err:
            raise CertificateUnusable(f"OpenSSL does not take the certificate: {err.reason}.") from None
        return context

    def _read(self, path: Path, what: str) -> bytes:
        try:
            return path.read_bytes()
        except OSError as err:
            raise CertificateUnusable(
                f"The TLS {what} {path} cannot be read: {err.strerror}.",
                remedy=f"{_STAPLE} to files that this user may read.",
            ) from None

    def _look(self) -> tuple[_Mark | None, ...]:
        return tuple(map(_mark, (self._certificate_path, self._key_path)))


def _check(certificate_pem: bytes, key_pem: bytes, now: float) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise CertificateUnusable("The TLS certificate is not PEM.") from None
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):  # TypeError: it has a passphrase
        raise CertificateUnusable("The TLS key is not PEM, or it has a passphrase.") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        raise CertificateUnusable(
            "The TLS key does not belong to the certificate.",
            remedy=f"{_STAPLE} to a pair, with the server's own certificate first in its file.",
        )
    ends = certificate.not_valid_after_utc
    if dt.datetime.fromtimestamp(now, dt.UTC) >= ends:
        raise CertificateUnusable(
            f"The TLS certificate has expired on {ends:%Y-%m-%d}.",
            remedy="Renew it, and see that this machine's clock is right.",
        )


def _mark(path: Path) -> _Mark | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
