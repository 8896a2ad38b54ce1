"""The demo's API key. Only the demo keeps a key readable, so that its curl line works again tomorrow."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from appliance.core import api_key
from appliance.errors import StateUnusable
from appliance.gateway.keystore import KeyStore
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
    store = KeyStore(tree.key_database_path)
    kept = _read(path)
    if kept and _works(kept, store):
        return DemoKey(kept, reused=True)
    _, key = store.create(_APP, now=time.time())
    _write(path, key)
    return DemoKey(key, reused=False)


def _works(key: str, store: KeyStore) -> bool:
    try:
        stored = store.list()
    except StateUnusable:
        return False  # if the database is lost, making a key makes it; if it is broken, that says so
    return any(api_key.matches(known, key) and known.is_usable(time.time()) for known in stored)


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
