"""The directory of the backups: one is there whole or not at all, whatever moment the power fails.

A backup is made under a hidden name and gets its own by rename, after its note
lies beside it. Old ones go only after that.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyrage import x25519

from appliance import durable, lockfile
from appliance.backup import archive, snapshot
from appliance.backup.snapshot import Sources
from appliance.core import backup
from appliance.core.backup import ListedBundle, Manifest, Note
from appliance.errors import AlreadyRunning, BackupUnusable

_MODE = 0o600
_PART_SUFFIX = ".part"
#: Below the state directory: what is copied is as secret as what it is copied from, and a backup directory may be a USB stick.
_MAKING = ".backup-making"
#: Of a directory in which a backup is taken apart to be verified, there too; an old one is a killed command's.
SCRATCH_PREFIX = ".backup-verifying-"
_SCRATCH_OLD_SECONDS = 86_400.0


@dataclass(frozen=True)
class Plan:
    """How a backup is made.

    Attributes:
        sources: what goes in.
        directory: where the backups are.
        recipient: public recovery key.
        keep: how many stay.
        version: of the appliance.
        bundles: installed.
        sign: the machine key's signature of some bytes.
    """

    sources: Sources
    directory: Path
    recipient: x25519.Recipient
    keep: int
    version: str
    bundles: tuple[ListedBundle, ...]
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Listed:
    """A backup in the directory.

    Attributes:
        path: the age file.
        made_at: Unix seconds, from its name.
        size_bytes: of the age file.
        note: what lies beside it; None if that is missing or of another form.
    """

    path: Path
    made_at: int
    size_bytes: int
    note: Note | None


def create(plan: Plan, now: float) -> Listed:
    """Make a backup, then remove those that are superseded.

    Raises:
        BackupUnusable: the state cannot be read or the directory not written; older backups are untouched.
        AlreadyRunning: another command makes one.
    """
    try:
        with _alone(plan.directory), _workplace(plan.sources.state_dir / backup.UPKEEP) as making:
            _discard_unfinished(plan.directory)
            made = _make(plan, making, now)
            for name in backup.superseded((path.name for path in plan.directory.iterdir()), plan.keep):
                remove(plan.directory / name)
            return made
    except OSError as err:
        raise BackupUnusable(
            f"The backup cannot be written to {plan.directory}: {err.strerror}.",
            remedy="See that the directory of the setting backup.directory is mounted, writable and has room.",
        ) from None


def everything(directory: Path) -> list[Listed]:
    """The backups in a directory, oldest first; raises BackupUnusable where it cannot be read."""
    try:
        return [_listed(path) for path in sorted(directory.iterdir()) if backup.made_at(path.name) is not None]
    except OSError as err:
        raise BackupUnusable(
            f"The directory of the backups {directory} cannot be read: {err.strerror}.",
            remedy="Mount it, or name another with --directory.",
        ) from None


def check(path: Path, verify: Callable[[bytes, bytes], bool] | None) -> Note:
    """What can be told of a backup without the private key: that it is the file its note names.

    Args:
        path: the age file.
        verify: whether a signature of the machine key fits some bytes; None where no public key is at hand.

    Raises:
        BackupUnusable: it is not, or the note is missing or not genuine.
    """
    try:
        content = note_path(path).read_bytes()
        signature = signature_path(path).read_bytes()
        note = backup.parse_note(content)
        whole = archive.is_age_file(path) and archive.member(path) == backup.Member(note.size_bytes, note.sha256)
    except (OSError, ValueError) as err:
        raise BackupUnusable(f"{path} or the note beside it cannot be read ({err}).") from None
    if verify is not None and not verify(content, signature):
        raise BackupUnusable(
            f"The note beside {path.name} is not signed by the machine key.",
            remedy="Name the public key of the box that made it with --machine-key. Do not restore it before you know who did.",
        )
    if not whole or note.file != path.name:
        raise BackupUnusable(f"{path.name} is damaged: it is not the file that its note names.", remedy=_OLDER)
    return note


def note_path(path: Path) -> Path:
    """The note of an age file."""
    return path.with_suffix(".json")


def signature_path(path: Path) -> Path:
    """The signature of its note."""
    return path.with_suffix(".json.sig")


def remove(path: Path) -> None:
    """Remove a backup, the age file first: without it the rest is nothing."""
    for file in (path, note_path(path), signature_path(path)):
        file.unlink(missing_ok=True)


def _make(plan: Plan, making: Path, now: float) -> Listed:
    target = plan.directory / backup.file_name(now)
    if target.exists():
        raise BackupUnusable(f"{target} is there already.", remedy="Wait a second and try again.")
    names = snapshot.take(plan.sources, making)
    if not set(names) & set(backup.DATABASES):
        raise BackupUnusable(
            f"There is nothing to back up in {plan.sources.state_dir}.", remedy="Name the right --state-dir."
        )
    head = making / "records.head"
    manifest = Manifest(
        int(now),
        plan.version,
        {name: archive.member(making / name) for name in names},
        plan.bundles,
        head.read_text(encoding="ascii").split()[0].lstrip("0") if head.is_file() and head.stat().st_size else "",
    )
    part = target.with_name(f".{target.name}{_PART_SUFFIX}")
    with durable.exclusive(part, _MODE) as file:
        archive.pack(making, manifest, plan.recipient, file)
    sealed = archive.member(part)
    note = Note(target.name, sealed.sha256, sealed.size_bytes, str(plan.recipient), manifest)
    text = backup.render_note(note)
    durable.write(signature_path(target), plan.sign(text), mode=_MODE)
    durable.write(note_path(target), text, mode=_MODE)
    part.rename(target)
    durable.sync_directory(plan.directory)
    return Listed(target, int(now), sealed.size_bytes, note)


def _listed(path: Path) -> Listed:
    try:
        note = backup.parse_note(note_path(path).read_bytes())
    except (OSError, ValueError):
        note = None
    return Listed(path, backup.made_at(path.name) or 0, path.stat().st_size, note)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    try:
        file = lockfile.acquire(directory / ".lock", directory_mode=0o700)
    except BlockingIOError:
        raise AlreadyRunning("Another command makes a backup.", remedy="Wait until it is done.") from None
    with file:
        yield


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """An empty directory for the plain copies, gone afterwards; one that a killed run left goes first."""
    parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    making = parent / _MAKING
    for left in (making, *(path for path in parent.glob(f"{SCRATCH_PREFIX}*") if _is_old(path))):
        shutil.rmtree(left, ignore_errors=True)
    making.mkdir(mode=0o700)
    try:
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _is_old(scratch: Path) -> bool:
    return time.time() - scratch.stat().st_mtime > _SCRATCH_OLD_SECONDS


def _discard_unfinished(directory: Path) -> None:
    """Remove what a killed run left: hidden parts, and notes of a backup that never got its name."""
    for path in directory.glob(f".appliance-*.age{_PART_SUFFIX}"):
        path.unlink(missing_ok=True)
    for path in directory.glob(".appliance-*.json*.new"):
        path.unlink(missing_ok=True)
    for path in (*directory.glob("appliance-*.json"), *directory.glob("appliance-*.json.sig")):
        age_file = path.with_name(path.name.split(".", 1)[0] + ".age")
        if backup.made_at(age_file.name) is not None and not age_file.exists():
            path.unlink(missing_ok=True)


_OLDER = "Use another backup, and check the disk it is on."
