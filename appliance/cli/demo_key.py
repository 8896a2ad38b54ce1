"""The demo's API key. Only the demo keeps a key readable, so that its curl line works again tomorrow."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import InvalidKey, StateUnusable
from appliance.gateway.keystore import KeyRing, KeyStore
from appliance.settings import Settings

_APP = "demo"
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class DemoKey:
    """A key that works.

    Args:
        key: what an app sends.
        reused: whether an earlier demo made it.
    """

    key: str
    reused: bool


def provide(tree: Settings) -> DemoKey:
    """The key of the last demo in this state directory if it is still good, else a new one.

    Raises:
        StateUnusable: the key database or the key's file cannot be written.
    """
    path = tree.state_dir.absolute() / "demo-key"
    kept = _read(path)
    with closing(KeyRing(tree.key_database_path)) as ring:
        try:
            ring.authenticate(kept, time.time())
            return DemoKey(kept, reused=True)
        except InvalidKey:
            pass
    _, key = KeyStore(tree.key_database_path).create(_APP, now=time.time())
    _write(path, key)
    return DemoKey(key, reused=False)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: Path, key: str) -> None:
    try:
        path.unlink(missing_ok=True)
        # Made with its mode, so that it is at no moment readable by others.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w") as file:
            file.write(f"{key}\n")
    except OSError as err:
        raise StateUnusable(f"The demo's key cannot be kept in {path}: {err.strerror}.") from None
