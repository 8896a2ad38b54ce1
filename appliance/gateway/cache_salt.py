"""The salt of the engine's prefix cache: no app can tell by the clock what another has asked (CVE-2025-46570).

The engine shares the work of equal beginnings of prompts, so an answer that
starts early shows that somebody sent that beginning lately. With a salt of its
own each app shares with itself alone.
"""

from __future__ import annotations

import hashlib
import hmac


class CacheSalt:
    """Salts by account.

    Args:
        secret: random bytes of this process. A new process has new salts: the
            engine's cache starts cold for it, and nothing has to be stored.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        # As many entries as there are accounts.
        self._members: dict[str, bytes] = {}

    def into(self, payload: bytes, account: str) -> bytes:
        """The payload of a request with the account's salt as its first member.

        Args:
            payload: a JSON object that is not empty.
            account: whose it is.
        """
        member = self._members.get(account)
        if member is None:
            digest = hmac.new(self._secret, account.encode(), hashlib.sha256).hexdigest()
            member = self._members[account] = b'{"cache_salt":"' + digest.encode() + b'",'
        return member + payload[1:]
