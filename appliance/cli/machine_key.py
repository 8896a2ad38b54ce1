"""The machine key: what this box signs its own statements with. P-256, made on first use, in ``<state_dir>/upkeep``.

The gateway's unit cannot look there.

Anybody checks such a signature with the public half and OpenSSL:
``openssl dgst -sha256 -verify machine-key.pub.pem -signature FILE.sig FILE``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance import durable
from appliance.bundles import sign, trust
from appliance.cli import state
from appliance.cli.state import StateDir
from appliance.errors import StatementUnusable, StateUnusable
from appliance.settings import Settings

PRIVATE_NAME, PUBLIC_NAME = "machine-key.pem", "machine-key.pub.pem"
_PUBLIC_MODE = 0o644


def show(
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the public key that tells this box's statements and backups from anybody else's, and its fingerprint.

    The key is made if there is none. Keep what is printed away from the box (docs/evidence.md).

    Example: appliance machine-key > machine-key.pub.pem
    """
    tree = state.load(state_dir)
    signer(tree)
    public = public_path(tree)
    text = public.read_text(encoding="ascii")
    if as_json:
        typer.echo(json.dumps({"public_key": text, "fingerprint": fingerprint(public), "file": str(public)}))
        return
    typer.echo(text, nl=False)
    typer.echo(f"fingerprint  {fingerprint(public)}", err=True)


def public_path(tree: Settings) -> Path:
    """The public half's file."""
    return tree.upkeep_dir / PUBLIC_NAME


def signer(tree: Settings) -> Callable[[bytes], bytes]:
    """Signs bytes with the machine key; makes the key if there is none.

    Raises:
        SigningFailed: the key cannot be read or written.
        StateUnusable: its public half cannot be written.
    """
    path = tree.upkeep_dir / PRIVATE_NAME
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o750, parents=True)
            give_to_owner(path.parent)
        if not path.exists():
            sign.make_key(path)
        key = sign.read_key(path)
        text = trust.pem(key.public_key()).encode()
        public = public_path(tree)
        if not public.exists() or public.read_bytes() != text:
            durable.write(public, text, mode=_PUBLIC_MODE)
        give_to_owner(path, public)
    except OSError as err:
        raise StateUnusable(f"The machine key in {path.parent} cannot be written: {err.strerror}.") from None
    return lambda content: key.sign(content, ec.ECDSA(hashes.SHA256()))


def fingerprint(public: Path) -> str:
    """SHA-256 in hexadecimal of a public key's PEM text, to be compared over the telephone; raises StatementUnusable."""
    return trust.hint(_read(public))


def verifier(public: Path) -> Callable[[bytes, bytes], bool]:
    """Whether a signature of this public key fits some bytes; raises StatementUnusable where there is no such key."""
    key = _read(public)

    def fits(content: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    return fits


def _read(public: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(public.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise StatementUnusable(
            f"{public} holds no public machine key.", remedy="Name the right file with --machine-key."
        )
    return key


def give_to_owner(*paths: Path) -> None:
    """What root makes belongs to the state directory's owner, as everything in it."""
    if os.geteuid() == 0:
        owner = paths[0].parent.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
