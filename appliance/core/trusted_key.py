"""A key whose bundles this box takes: a small TOML file in the directory of trusted keys.

::

    owner = "Example Education, model builds"
    not_after = 2028-12-31
    public_key = '''
    -----BEGIN PUBLIC KEY-----
    …
    -----END PUBLIC KEY-----
    '''
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime

from appliance.errors import SettingsInvalid

_MAX_OWNER = 200


@dataclass(frozen=True)
class TrustedKey:
    """One trusted key.

    Args:
        owner: who signs with it, for people.
        not_after: last day (UTC) on which bundles signed with it are installed or activated.
        public_key: PEM, ``BEGIN PUBLIC KEY``.
    """

    owner: str
    not_after: date
    public_key: str

    def is_expired(self, now: float) -> bool:
        """Whether its last day is over at ``now`` (Unix time, seconds)."""
        return datetime.fromtimestamp(now, UTC).date() > self.not_after


def parse(text: str, name: str) -> TrustedKey:
    """Read a key file.

    Args:
        text: its content.
        name: its name, for the message.

    Raises:
        SettingsInvalid: not of that form.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise _invalid(name, f"is not valid TOML: {err}") from None
    if set(values) != {"owner", "not_after", "public_key"}:
        raise _invalid(name, "must state owner, not_after and public_key, and nothing else")
    owner, not_after, public_key = values["owner"], values["not_after"], values["public_key"]
    if not isinstance(owner, str) or not owner.isprintable() or not 0 < len(owner) <= _MAX_OWNER:
        raise _invalid(name, "has an owner that is not one line of text")
    if not isinstance(not_after, date) or isinstance(not_after, datetime):
        raise _invalid(name, "has a not_after that is not a date such as 2028-12-31")
    if not isinstance(public_key, str) or "PRIVATE" in public_key:
        raise _invalid(name, "must hold a public key, and never a private one")
    return TrustedKey(owner, not_after, public_key.strip() + "\n")


def render(key: TrustedKey) -> str:
    """The text that :func:`parse` reads back to an equal key."""
    owner = json.dumps(key.owner, ensure_ascii=False)
    return f'owner = {owner}\nnot_after = {key.not_after.isoformat()}\npublic_key = """\n{key.public_key}"""\n'


def _invalid(name: str, what: str) -> SettingsInvalid:
    return SettingsInvalid(
        f"The trusted key {name} {what}.", remedy="Mend or remove it; docs/bundles.md shows the form of such a file."
    )
