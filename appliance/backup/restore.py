"""Puts a backup into a state directory; what was there stays, set aside beside it.

Everything is taken apart and checked in a hidden directory first. Then names
change, and keys come last: a state directory in which a power cut left a part
refuses every request, and the same command finishes the work.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrage import x25519

from appliance import durable
from appliance.backup import archive, snapshot
from appliance.core import backup
from appliance.core.backup import Manifest
from appliance.errors import BackupUnusable, StateNotEmpty

#: Where lies what is not put back: settings and upkeep's results of the host that was.
ASIDE = "restored"
_MAKING = ".restoring"
_MODES = {"records.key": 0o600, "machine-key.pem": 0o600, "machine-key.pub.pem": 0o644}
_FILE_MODE, _TRUST_FILE_MODE, _TRUST_MODE = 0o640, 0o644, 0o755


@dataclass(frozen=True)
class Restored:
    """What was done.

    Attributes:
        manifest: of the backup.
        files: put into the state directory, by name.
        aside: put into ``<state_dir>/restored``, to be looked at.
        replaced: where lies what was there before; None if nothing was.
    """

    manifest: Manifest
    files: tuple[str, ...]
    aside: tuple[str, ...]
    replaced: Path | None


def verify(path: Path, identity: x25519.Identity, scratch: Path) -> Manifest:
    """Take a backup apart in an empty directory and see that all of it is there, right and usable.

    Raises:
        BackupUnusable: it is not.
    """
    manifest = archive.unpack(path, identity, scratch)
    for name in backup.DATABASES:
        if name in manifest.files:
            snapshot.check_database(scratch / name)
    return manifest


def run(
    path: Path,
    identity: x25519.Identity,
    state_dir: Path,
    *,
    replace: bool,
    stamp: str,
    to_look_at: frozenset[str] = frozenset(),
    examine: Callable[[Path], None] = lambda _directory: None,
) -> Restored:
    """Restore a backup. Nothing may run in the state directory meanwhile.

    Args:
        path: the age file.
        identity: private recovery key.
        state_dir: where it goes; made if missing.
        replace: whether what is there may be set aside.
        stamp: part of the name under which it is.
        to_look_at: names of :data:`backup.RESTORED` that belong elsewhere on this host, and are laid aside, too.
        examine: told where the checked content lies before any of it is put in place; what it raises stops all.

    Raises:
        StateNotEmpty: something is there, and ``replace`` is not given; nothing was changed.
        BackupUnusable: the backup cannot be used, or the directory not written.
    """
    try:
        there = _there(state_dir)
        if there and not replace:
            raise StateNotEmpty(
                f"{state_dir} holds {there[0]} already.",
                remedy="Restore into another --state-dir, or give --replace to set aside what is there.",
            )
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        making = state_dir / _MAKING
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        try:
            manifest = verify(path, identity, making)
            examine(making)
            _dress(making, state_dir)
            replaced = _set_aside(state_dir, stamp) if there else None
            aside = _lay_aside(making, state_dir, manifest, stamp, to_look_at)
            files = tuple(_put_in_place(making, state_dir))
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return Restored(manifest, files, aside, replaced)
    except OSError as err:
        raise BackupUnusable(
            f"The backup cannot be put into {state_dir}: {err.strerror}.",
            remedy="Run the command as root, and see that there is room on the disk.",
        ) from None


def _there(state_dir: Path) -> list[str]:
    """What the backup would stand in the place of."""
    names = [*backup.RESTORED, *(name + end for name in backup.DATABASES for end in backup.COMPANIONS)]
    return [name for name in names if _is_something(state_dir / name)]


def _is_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _set_aside(state_dir: Path, stamp: str) -> Path:
    """Move what is there away, keys first: from now on every request is refused until the new ones are there."""
    place = state_dir / f"replaced-{stamp}"
    place.mkdir(mode=0o700)
    for name in reversed(_there(state_dir)):
        (place / name).parent.mkdir(mode=0o700, exist_ok=True)
        (state_dir / name).rename(place / name)
    durable.sync_directory(state_dir)
    return place


def _lay_aside(
    making: Path, state_dir: Path, manifest: Manifest, stamp: str, to_look_at: frozenset[str]
) -> tuple[str, ...]:
    place = state_dir / f"{ASIDE}-{stamp}"
    place.mkdir(mode=0o700)
    durable.write(place / backup.MANIFEST_NAME, backup.render(manifest), mode=0o600)
    kept = {name for name in backup.RESTORED if name not in to_look_at}
    names = [name for name in manifest.files if not {name, name.partition("/")[0]} & kept]
    for name in names:
        (place / name).parent.mkdir(mode=0o700, exist_ok=True)
        (making / name).rename(place / name)
    return tuple(f"{place.name}/{name}" for name in (backup.MANIFEST_NAME, *names))


def _put_in_place(making: Path, state_dir: Path) -> Iterator[str]:
    for name in backup.RESTORED:
        if not (making / name).exists():
            continue
        if name == backup.TRUST and not any((making / name).iterdir()):
            continue  # it was laid aside
        if name == backup.TRUST and (state_dir / name).is_dir():
            (state_dir / name).rmdir()  # empty, or it was set aside
        if not (state_dir / name).parent.is_dir():
            (state_dir / name).parent.mkdir(mode=0o750)
            _give((state_dir / name).parent, state_dir)
        (making / name).rename(state_dir / name)
        durable.sync_directory(state_dir)
        yield name


def _dress(making: Path, state_dir: Path) -> None:
    """Modes as the programs make them; what root restores belongs to the state directory's owner."""
    for path in making.rglob("*"):
        if path.is_dir():
            mode = _TRUST_MODE if path.name == backup.TRUST else 0o750
        else:
            mode = _TRUST_FILE_MODE if path.parent.name == backup.TRUST else _MODES.get(path.name, _FILE_MODE)
        path.chmod(mode)
        _give(path, state_dir)


def _give(path: Path, state_dir: Path) -> None:
    if os.geteuid() == 0:
        owner = state_dir.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
