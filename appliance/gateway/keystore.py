"""API keys on disk (SQLite, WAL): make, list, rotate, revoke."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from appliance.core import api_key
from appliance.core.admission import Priority
from appliance.core.api_key import ApiKey
from appliance.core.limits import Limits
from appliance.errors import KeyStoreError, StateUnusable
from appliance.gateway import key_database

MAX_APP_CHARACTERS = 64
#: As in the request schema.
MAX_MODEL_CHARACTERS = 256
#: Largest number a limit may be: beyond it, it limits nothing.
MAX_LIMIT = 10**12


class KeyStore:
    """The keys on disk. Each call opens the database, so a store can be shared by processes.

    Args:
        path: the SQLite file; made with the first key, readable by its owner and group only. Nothing else makes
            it: an empty one in place of a lost one would end every key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(
        self,
        app: str,
        *,
        now: float,
        expires_at: float | None = None,
        models: frozenset[str] | None = None,
        aliases: Mapping[str, str] | None = None,
        priority: Priority = "interactive",
        limits: Limits | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key for an app.

        Args:
            app: name of the app, for lists and the account of use.
            now: Unix seconds.
            expires_at: when it ends, Unix seconds, or None.
            models: names it may ask for, served models or aliases; None for all.
            aliases: names of its own for served models; an empty value means the active one.
            priority: who is served first.
            limits: what it may use; none if left out.

        Returns:
            The stored record, and the key itself: it is shown this once and never stored.

        Raises:
            KeyStoreError: a name is empty or too long, or a limit is no positive number.
            StateUnusable: the database cannot be written.
        """
        _check_name("An app's name", app, MAX_APP_CHARACTERS)
        for name in [*(models or ()), *(aliases or ()), *(target for target in (aliases or {}).values() if target)]:
            _check_name("A model's name", name, MAX_MODEL_CHARACTERS)
        limits = limits or Limits()
        _check_limits(limits)
        template = ApiKey("", app, b"", now, expires_at, None, models, dict(aliases or {}), priority, limits)
        record, key = _mint(template)
        with self._open(make=True) as database, database:
            key_database.insert(database, record)
        return record, key

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, oldest first; raises StateUnusable, also where no key was ever made."""
        with self._open() as database:
            return key_database.read(database)

    def rotate(
        self, key_id: str, *, now: float, overlap_seconds: float, expires_at: float | None = None
    ) -> tuple[ApiKey, str]:
        """Make a new secret for the same app with the same rights and limits; the old key ends after an overlap.

        Both count as one while both work: the limits are not doubled.

        Args:
            key_id: the old key's id.
            now: Unix seconds.
            overlap_seconds: how long the old key goes on working, 0 or more.
            expires_at: when the new key ends; by default it lives as long as the old one was meant to.

        Returns:
            The new record, and the new key: it is shown this once and never stored.

        Raises:
            KeyStoreError: there is no such key, or it is revoked, expired or rotated already.
            StateUnusable: the database cannot be written.
        """
        with self._open() as database, database:
            database.execute("BEGIN IMMEDIATE")
            old = next((key for key in key_database.read(database) if key.key_id == key_id), None)
            if old is None or not old.is_usable(now):
                raise KeyStoreError("There is no usable key with that id.")
            if old.replaced_by:
                raise KeyStoreError(
                    "That key was rotated already.",
                    remedy=f"Rotate its successor {old.replaced_by}, or revoke both and make a new key.",
                )
            if expires_at is None and old.expires_at is not None:
                expires_at = now + (old.expires_at - old.created_at)
            record, key = _mint(replace(old, created_at=now, expires_at=expires_at))
            key_database.insert(database, record)
            ends = now + overlap_seconds if old.expires_at is None else min(old.expires_at, now + overlap_seconds)
            database.execute(
                "UPDATE api_key SET expires_at = ?, replaced_by = ? WHERE key_id = ?", (ends, record.key_id, key_id)
            )
        return record, key

    def change(
        self, key_id: str, *, now: float, limits: Mapping[str, int | None], priority: Priority | None = None
    ) -> ApiKey:
        """Change what a key may use, and what its rotations of the same account may.

        Args:
            key_id: the key's id.
            now: Unix seconds.
            limits: the limits to change, by their names; None for no limit. The others stay.
            priority: who is served first, None to leave it.

        Raises:
            KeyStoreError: there is no such key, it is revoked or expired, or a limit is no positive number.
            StateUnusable: the database cannot be written.
        """
        with self._open() as database, database:
            database.execute("BEGIN IMMEDIATE")
            old = next((key for key in key_database.read(database) if key.key_id == key_id), None)
            if old is None or not old.is_usable(now):
                raise KeyStoreError("There is no usable key with that id.")
            changed = replace(old.limits, **limits)
            _check_limits(changed)
            key_database.update(database, old.account, changed, priority or old.priority)
            return next(key for key in key_database.read(database) if key.key_id == key_id)

    def revoke(self, key_id: str, *, now: float) -> ApiKey:
        """End a key at once.

        Raises:
            KeyStoreError: there is no such key, or it was revoked before.
            StateUnusable: the database cannot be written.
        """
        with self._open() as database, database:
            changed = database.execute(
                "UPDATE api_key SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", (now, key_id)
            ).rowcount
            if not changed:
                raise KeyStoreError("There is no key with that id that could be revoked.")
            return next(key for key in key_database.read(database) if key.key_id == key_id)

    @contextmanager
    def _open(self, *, make: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if not make and not self.path.exists():
                raise StateUnusable(
                    f"There is no key database at {self.path}.",
                    remedy="Restore it from the backup, or make a key with `appliance keys create`.",
                )
            with key_database.open_for_change(self.path) as database:
                yield database
        except (sqlite3.Error, OSError) as err:
            raise StateUnusable(
                f"The key database {self.path} cannot be used: {key_database.reason(err, self.path)}.",
                remedy="Put that right and run the command again; running apps are not affected.",
            ) from None


def _mint(template: ApiKey) -> tuple[ApiKey, str]:
    """A key like the template with an id and a secret of its own."""
    key_id, key = api_key.compose(secrets.token_bytes(api_key.ID_BYTES), secrets.token_bytes(api_key.SECRET_BYTES))
    return replace(template, key_id=key_id, digest=api_key.digest(key), account=template.account or key_id), key


def _check_name(what: str, name: str, most: int) -> None:
    if not 1 <= len(name) <= most or not name.isprintable():
        raise KeyStoreError(f"{what} has 1 to {most} printable characters.", remedy="Choose another.")


def _check_limits(limits: Limits) -> None:
    given = [getattr(limits, field.name) for field in fields(limits)]
    if any(value is not None and not 1 <= value <= MAX_LIMIT for value in given):
        raise KeyStoreError(
            f"A limit is a whole number from 1 to {MAX_LIMIT}.", remedy="Leave the option out for no limit."
        )
