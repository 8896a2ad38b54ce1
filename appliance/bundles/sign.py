"""Signs a bundle, in the OpenSSF model signing format, with a private key in a file.

Deterministic (RFC 6979): the same bundle and key give the same signature.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import durable
from appliance.bundles import digests, trust
from appliance.core import manifest, model_signature
from appliance.core.model_signature import Envelope
from appliance.errors import SigningFailed

_KEY_MODE = 0o600


def directory(bundle: Path, private_key: Path, password: bytes | None = None) -> Path:
    """Sign every file of a sealed bundle; its signature file, replaced if there was one.

    Args:
        bundle: the directory, with its ``bundle.toml``.
        private_key: PEM file of an elliptic-curve key.
        password: of the key file, if it has one.

    Raises:
        SigningFailed: the key cannot be read or is of another kind.
        ModelUnusable: the directory has no valid ``bundle.toml``.
    """
    key = read_key(private_key, password)
    stated = digests.read_manifest(bundle)
    target = bundle / manifest.SIGNATURE_NAME
    target.unlink(missing_ok=True)
    files = {name: listed.sha256 for name, listed in digests.of_directory(bundle).items()}
    files[manifest.FILE_NAME] = digests.of_file(bundle / manifest.FILE_NAME)
    payload = model_signature.statement(stated.directory_name, files)
    algorithm = ec.ECDSA(trust.CURVES[key.curve.name], deterministic_signing=True)
    signature = key.sign(model_signature.signed_bytes(payload), algorithm)
    envelope = Envelope(trust.hint(key.public_key()), payload, signature)
    durable.write(target, model_signature.render(envelope).encode(), mode=0o644)
    return target


def read_key(path: Path, password: bytes | None = None) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM file; raises SigningFailed."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except OSError as err:
        raise SigningFailed(f"The signing key {path} cannot be read: {err.strerror}.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningFailed(f"{path} holds no private key in PEM form, or its password is not right.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in trust.CURVES:
        raise SigningFailed(f"{path} is not an elliptic-curve key on P-256, P-384 or P-521.")
    return key


def make_key(path: Path) -> str:
    """Make a new P-256 key in ``path``, readable by its owner alone; the PEM text of its public half.

    Raises:
        SigningFailed: there is a file already, or it cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with durable.exclusive(path, _KEY_MODE) as file:
            file.write(text)
    except FileExistsError:
        raise SigningFailed(f"{path} is there already; it is not overwritten.") from None
    except OSError as err:
        raise SigningFailed(f"The signing key {path} cannot be written: {err.strerror}.") from None
    return trust.pem(key.public_key())
