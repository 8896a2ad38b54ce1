"""The keys whose bundles this box takes, and what they signed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.core import model_signature, trusted_key
from appliance.core.model_signature import Envelope
from appliance.core.trusted_key import TrustedKey
from appliance.errors import BundleUntrusted, SettingsInvalid

#: Curves of the model signing format, and the digest that belongs to each.
CURVES: Mapping[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


class Trust:
    """A set of trusted keys.

    Args:
        keys: by hint: the SHA-256 of the key's canonical PEM text.
    """

    def __init__(self, keys: Mapping[str, TrustedKey]) -> None:
        self.keys = keys

    @classmethod
    def read(cls, directory: Path) -> Trust:
        """The keys in a directory: every ``*.toml`` in it; none if there is no directory.

        Raises:
            SettingsInvalid: the directory or one of them is unreadable or not of the right form; all wait for it to be mended.
        """
        keys: dict[str, TrustedKey] = {}
        try:
            there = sorted(directory.iterdir()) if directory.exists() else []
        except OSError as err:  # no reason to trust nobody, or to take what is not signed
            raise SettingsInvalid(
                f"The directory of trusted keys {directory} cannot be read: {err.strerror}.",
                remedy="Let the appliance's users read it.",
            ) from None
        for path in there:
            if path.suffix != ".toml":
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                raise SettingsInvalid(f"The trusted key {path} cannot be read.", remedy="Mend or remove it.") from None
            key = trusted_key.parse(text, path.name)
            keys[hint(_public_key(key.public_key, path.name))] = key
        return cls(keys)

    def signer(self, envelope: Envelope, now: float | None) -> TrustedKey:
        """Whose signature it is.

        Args:
            envelope: a signature file.
            now: Unix time in seconds, to refuse an expired key; None to take it.

        Raises:
            BundleUntrusted: the key is unknown or expired, or it did not sign this.
        """
        key = self.keys.get(envelope.hint)
        if key is None:
            raise BundleUntrusted(
                f"The bundle is signed by a key this box does not trust ({envelope.hint[:16]}…).",
                remedy="If you know whose it is, put its public key into the directory of trusted keys; else do not use it.",
            )
        public = _public_key(key.public_key, key.owner)
        digest = CURVES[public.curve.name]
        try:
            public.verify(envelope.signature, model_signature.signed_bytes(envelope.payload), ec.ECDSA(digest))
        except InvalidSignature:
            raise BundleUntrusted("The bundle's signature does not fit: it was changed after it was signed.") from None
        if now is not None and key.is_expired(now):
            raise BundleUntrusted(
                f"The bundle is signed by a key that expired on {key.not_after.isoformat()}: {key.owner}.",
                remedy="Ask its owner for the bundle signed anew with the key that follows.",
            )
        return key


def hint(public: ec.EllipticCurvePublicKey) -> str:
    """The name of a key in signatures: SHA-256 in hexadecimal of its PEM text."""
    return hashlib.sha256(pem(public).encode()).hexdigest()


def pem(public: ec.EllipticCurvePublicKey) -> str:
    """The canonical PEM text of a public key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def _public_key(text: str, name: str) -> ec.EllipticCurvePublicKey:
    try:
        public = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsInvalid(f"The trusted key {name} holds no public key in PEM form.") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name not in CURVES:
        raise SettingsInvalid(
            f"The trusted key {name} is of a kind that is not used here.",
            remedy="Use an elliptic-curve key: openssl ecparam -name prime256v1 -genkey -noout -out bundle-key.pem",
        )
    return public
