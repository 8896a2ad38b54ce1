"""The kit's digests and their signature, in forms that a bare Debian host can check with what it has.

``SHA256SUMS`` is sha256sum(1)'s and lists every file; ``SHA256SUMS.sig`` is an
ECDSA signature over it, DER. Before a host runs anything of a kit::

    openssl dgst -sha256 -verify KEY.pem -signature SHA256SUMS.sig SHA256SUMS
    sha256sum --quiet --check SHA256SUMS
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.bundles import sign, trust
from deploy.kit.release import KitFailed

SUMS, SIGNATURE, PUBLIC_KEY = "SHA256SUMS", "SHA256SUMS.sig", "kit-key.pem"


def write(directory: Path, private_key: Path, password: bytes | None = None) -> str:
    """List every file of a kit and sign the list; the PEM text of the public key.

    Raises:
        SigningFailed: the key cannot be read or is no elliptic-curve key.
        KitFailed: a file's name has characters that sha256sum would write otherwise.
    """
    key = sign.read_key(private_key, password)
    lines = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or "\\" in name or "\n" in name:
            raise KitFailed(f"A kit holds plain files with plain names only: {name!r}.")
        if path.is_file() and name not in (SUMS, SIGNATURE):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    content = "".join(lines).encode()
    (directory / SUMS).write_bytes(content)
    signature = key.sign(content, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    (directory / SIGNATURE).write_bytes(signature)
    return trust.pem(key.public_key())


def machine_key(path: Path) -> Path:
    """A signing key of this machine, made where there is none; its public half lies beside it."""
    public = path.with_name(PUBLIC_KEY)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        public.write_text(sign.make_key(path), encoding="ascii")
    return path
