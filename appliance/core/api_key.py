"""API keys: their form, their digest, and whether one may be used now.

A key is ``sk-appliance-<id>-<secret>``: the id names it in lists and logs, the
secret is 256 random bits and exists only in the app that holds it. Stored is
the SHA-256 of the whole key; with 256 random bits there is nothing to guess,
so a slow password hash would only slow the box down.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.core.admission import Priority
from appliance.core.limits import NO_LIMITS, Limits

PREFIX = "sk-appliance-"
ID_BYTES = 5
SECRET_BYTES = 32
_FORM = re.compile(r"sk-appliance-([a-z2-7]{8})-([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is stored, with what it may do. Times are Unix seconds, None for never.

    Attributes:
        key_id: eight characters that name the key; no part of the secret.
        app: name of the app that holds it.
        digest: SHA-256 of the whole key, 32 bytes.
        created_at: when it was made.
        expires_at: when it stops working by itself.
        revoked_at: when it was revoked.
        models: names that may be asked for, served models or aliases; None for all.
        aliases: names of this key's own for served models; an empty value means the active one.
        priority: who is served first.
        limits: what it may use.
        account: where its use counts. A key's own id, and after a rotation still the first key's, so that
            two keys of an overlap share one set of limits.
        replaced_by: id of the key that a rotation made in its place, or empty.
    """

    key_id: str
    app: str
    digest: bytes
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    models: frozenset[str] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    priority: Priority = "interactive"
    limits: Limits = NO_LIMITS
    account: str = ""
    replaced_by: str = ""

    def is_usable(self, now: float) -> bool:
        """Whether it is neither revoked nor expired at ``now`` (Unix seconds)."""
        return (self.revoked_at is None or self.revoked_at > now) and (self.expires_at is None or self.expires_at > now)


def compose(id_bytes: bytes, secret: bytes) -> tuple[str, str]:
    """Form a key from random bytes.

    Args:
        id_bytes: :data:`ID_BYTES` random bytes.
        secret: :data:`SECRET_BYTES` random bytes.

    Returns:
        ``(key id, whole key)``.
    """
    key_id = base64.b32encode(id_bytes).decode().lower()
    return key_id, f"{PREFIX}{key_id}-{base64.urlsafe_b64encode(secret).decode().rstrip('=')}"


def key_id_of(presented: str) -> str | None:
    """The id part of a presented key, or None if it does not have a key's form."""
    match = _FORM.fullmatch(presented)
    return match[1] if match else None


def digest(key: str) -> bytes:
    """SHA-256 of the whole key."""
    return hashlib.sha256(key.encode()).digest()


def matches(stored: ApiKey, presented: str) -> bool:
    """Whether the presented key is the stored one, compared in constant time."""
    return hmac.compare_digest(stored.digest, digest(presented))
