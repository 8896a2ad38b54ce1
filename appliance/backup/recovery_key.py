"""The recovery key: an age X25519 pair whose private half is in the safe and not on the box.

The format is age's (https://age-encryption.org/v1), so that a backup can be
opened with the ``age`` of any Linux distribution when this program is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pyrage import IdentityError, RecipientError, x25519

from appliance import durable
from appliance.errors import BackupUnusable, SettingsInvalid

_MODE = 0o600
_PREFIX = "AGE-SECRET-KEY-1"


class Pair(NamedTuple):
    """Both halves as text.

    Attributes:
        private: ``AGE-SECRET-KEY-1…``.
        public: ``age1…``.
    """

    private: str
    public: str


def make() -> Pair:
    """A new pair."""
    identity = x25519.Identity.generate()
    return Pair(str(identity), str(identity.to_public()))


def save(pair: Pair, path: Path) -> None:
    """Write a pair as ``age-keygen`` does, for its owner alone.

    Raises:
        BackupUnusable: there is a file already, or it cannot be written.
    """
    try:
        with durable.exclusive(path, _MODE) as file:
            file.write(f"# public key: {pair.public}\n{pair.private}\n".encode())
    except FileExistsError:
        raise BackupUnusable(
            f"{path} is there already; it is not overwritten.", remedy="Name another file with --out."
        ) from None
    except OSError as err:
        raise BackupUnusable(f"{path} cannot be written: {err.strerror}.", remedy="Name another with --out.") from None


def read(path: Path) -> x25519.Identity:
    """The private key in a file, as ``age-keygen`` or :func:`save` wrote it; raises BackupUnusable."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        raise BackupUnusable(f"The recovery key {path} cannot be read.", remedy=_REMEDY) from None
    for word in lines:
        if word.startswith(_PREFIX):
            try:
                return x25519.Identity.from_str(word)
            except IdentityError:
                break
    raise BackupUnusable(f"{path} holds no recovery key.", remedy=_REMEDY)


def recipient(text: str) -> x25519.Recipient:
    """The public key of a text; raises SettingsInvalid."""
    try:
        return x25519.Recipient.from_str(text)
    except RecipientError:
        raise SettingsInvalid(
            "The setting backup.recipient is no public recovery key.",
            remedy="`appliance backup keygen` makes a pair; the setting is the half that begins with age1.",
        ) from None


_REMEDY = "Write the line that begins with AGE-SECRET-KEY-1 into a file and name it with --identity."
