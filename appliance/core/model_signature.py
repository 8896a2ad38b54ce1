"""The signature of a bundle, in the OpenSSF model signing format, key mode.

A Sigstore bundle (version 0.3) around a DSSE envelope around an in-toto
statement that gives the SHA-256 of every file: what ``model-signing`` 1.x of
the OpenSSF writes and verifies with an elliptic-curve key. Here is only the
form; the arithmetic of the key is the caller's.

Sources: https://github.com/sigstore/model-transparency (README, "Model Signing
Format"), https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md,
https://github.com/in-toto/attestation/tree/main/spec/v1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.core.manifest import SIGNATURE_NAME
from appliance.errors import BundleUntrusted

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Envelope:
    """A signature file, taken apart.

    Args:
        hint: SHA-256 in hexadecimal of the public key's PEM text.
        payload: the in-toto statement as it was signed.
        signature: over :func:`signed_bytes` of the payload; ASN.1 DER.
    """

    hint: str
    payload: bytes
    signature: bytes


def statement(name: str, digests: Mapping[str, str]) -> bytes:
    """The in-toto statement about a bundle; the same files give the same bytes.

    Args:
        name: of the bundle, for people: it proves nothing.
        digests: SHA-256 in hexadecimal of every file but the signature, by POSIX path.
    """
    resources = [
        {"name": path, "algorithm": "sha256", "digest": digests[path]} for path in sorted(digests, key=_as_parts)
    ]
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _root(resource["digest"] for resource in resources)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE_NAME],
            },
            "resources": resources,
        },
    }
    return json.dumps(document, indent=2).encode()


def signed_bytes(payload: bytes) -> bytes:
    """What the key signs: DSSE's pre-authentication encoding of the payload."""
    return f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload


def render(envelope: Envelope) -> str:
    """The text of the signature file, byte for byte as ``model-signing`` 1.1 writes it."""
    return json.dumps(_document(envelope), separators=(",", ":"))


def parse(text: str) -> Envelope:
    """Take a signature file apart.

    Only the one spelling that :func:`render` gives is read, so that no byte of
    the file can change without being noticed.

    Raises:
        BundleUntrusted: it is anything else.
    """
    try:
        document = json.loads(text)
        envelope = Envelope(
            hint=document["verificationMaterial"]["publicKey"]["hint"],
            payload=base64.b64decode(document["dsseEnvelope"]["payload"], validate=True),
            signature=base64.b64decode(document["dsseEnvelope"]["signatures"][0]["sig"], validate=True),
        )
        canonical = render(envelope)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, binascii.Error):
        raise BundleUntrusted("The bundle's signature is not in the form of OpenSSF model signing.") from None
    if canonical != text:
        raise BundleUntrusted("The bundle's signature is not in the form of OpenSSF model signing with a key.")
    return envelope


def digests(payload: bytes) -> dict[str, str]:
    """SHA-256 in hexadecimal of every signed file, by POSIX path. To be called after the key has verified the payload.

    Raises:
        BundleUntrusted: the statement is of another kind, or contradicts itself.
    """
    try:
        document = json.loads(payload)
        kinds = (document["_type"], document["predicateType"])
        serialization = document["predicate"]["serialization"]
        resources = document["predicate"]["resources"]
        listed = {resource["name"]: resource["digest"] for resource in resources}
        (subject,) = document["subject"]
        sound = (
            kinds == (STATEMENT_TYPE, PREDICATE_TYPE)
            and (serialization["method"], serialization["hash_type"]) == ("files", "sha256")
            and set(serialization.get("ignore_paths", [])) <= {SIGNATURE_NAME}
            and all(resource["algorithm"] == "sha256" for resource in resources)
            and len(listed) == len(resources)
            and all(isinstance(name, str) for name in listed)
            and all(_DIGEST.fullmatch(digest) for digest in listed.values())
            and subject["digest"]["sha256"] == _root(resource["digest"] for resource in resources)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise BundleUntrusted("The bundle's signature does not state its files as OpenSSF model signing does.")
    return listed


def _document(envelope: Envelope) -> dict[str, Any]:
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": envelope.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(envelope.signature).decode(), "keyid": ""}],
        },
    }


def _root(digests: Any) -> str:
    """One digest over all of them, in their order."""
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def _as_parts(path: str) -> tuple[str, ...]:
    """``model-signing`` sorts by parts of the path, not by its characters."""
    return tuple(path.split("/"))
