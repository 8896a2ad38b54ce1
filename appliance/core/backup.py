"""What a backup holds and how its files are called. Pure.

A backup is an age file (https://age-encryption.org/v1) around a gzipped tar:
``manifest.json`` first, with the length and SHA-256 of every other member.
Beside it lies a note, readable by anybody: ``<name>.json`` with the digest of
the age file, and ``<name>.json.sig``, the machine key's signature of the note.

Which members there may be is fixed here, so that an archive cannot write
anything else when it is restored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
KIND = "appliance backup"
MANIFEST_NAME = "manifest.json"
#: Copied by SQLite's online backup, so that a running gateway is in nobody's way.
DATABASES = ("keys.sqlite3", "limits.sqlite3", "records.sqlite3")
#: Of the state directory; the audit's seal belongs to its database.
SINGLE_FILES = ("records.head", "records.key", "upkeep/machine-key.pem", "upkeep/machine-key.pub.pem")
TRUST = "trust"
#: What is not put back where it was: the settings live elsewhere, and upkeep's results are of the host that was.
SETTINGS_NAME = "appliance.toml"
UPKEEP = "upkeep"
#: Keys last: a state directory that was restored in part refuses every request.
RESTORED = (
    "records.key",
    "records.head",
    "records.sqlite3",
    "limits.sqlite3",
    TRUST,
    *SINGLE_FILES[2:],
    "keys.sqlite3",
)
#: Files that SQLite keeps beside a database; an old one would spoil a new database.
COMPANIONS = ("-wal", "-shm")
_IN_FOLDER = re.compile(r"(?:trust/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.toml|upkeep/[a-z0-9][a-z0-9-]{0,63}\.json)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"appliance-(\d{8}T\d{6}Z)\.age")
_TIME = "%Y%m%dT%H%M%SZ"
MAX_MANIFEST_BYTES = 2**20


@dataclass(frozen=True)
class Member:
    """One file in the archive."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ListedBundle:
    """A bundle that was installed: not in the backup, to be installed again from its signed files.

    Attributes:
        name: name and version, as its directory is called.
        sha256: of its ``bundle.toml``, which holds the digests of all its files.
        active: whether it was in use.
    """

    name: str
    sha256: str
    active: bool


@dataclass(frozen=True)
class Manifest:
    """What stands in ``manifest.json``.

    Attributes:
        made_at: Unix seconds.
        appliance: version that made it.
        files: members by name.
        bundles: installed at that time.
        audit_head: the sealed end of the audit, ``NUMBER:HASH``; empty without one.
    """

    made_at: int
    appliance: str
    files: Mapping[str, Member]
    bundles: tuple[ListedBundle, ...] = ()
    audit_head: str = ""


@dataclass(frozen=True)
class Note:
    """What lies beside a backup for everybody to read.

    Attributes:
        file: name of the age file.
        sha256: of the age file.
        size_bytes: of the age file.
        recipient: public recovery key that it is encrypted to.
        manifest: as in the archive.
    """

    file: str
    sha256: str
    size_bytes: int
    recipient: str
    manifest: Manifest = field(repr=False)


def may_hold(name: str) -> bool:
    """Whether a backup may have a member of that name."""
    return name in {*DATABASES, *SINGLE_FILES, SETTINGS_NAME} or _IN_FOLDER.fullmatch(name) is not None


def file_name(made_at: float) -> str:
    """The age file's name."""
    return f"appliance-{datetime.fromtimestamp(made_at, UTC).strftime(_TIME)}.age"


def made_at(name: str) -> int | None:
    """When a backup of that name was made, Unix seconds; None if it is no backup's name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return int(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def superseded(names: Iterable[str], keep: int) -> list[str]:
    """The names of the backups that go, so that the ``keep`` newest stay; other files' names are left alone."""
    backups = sorted(name for name in names if made_at(name) is not None)
    return backups[: max(0, len(backups) - keep)]


def render(manifest: Manifest) -> bytes:
    """The text of ``manifest.json``."""
    return _text({"format": FORMAT, "kind": KIND, **_plain(manifest)})


def parse(content: bytes) -> Manifest:
    """Read :func:`render`'s text.

    Raises:
        ValueError: it is of another form, or names a member that may not be.
    """
    return _manifest(_document(content))


def render_note(note: Note) -> bytes:
    """The text of the note beside a backup."""
    return _text(
        {
            "format": FORMAT,
            "kind": f"{KIND} note",
            "file": note.file,
            "sha256": note.sha256,
            "size_bytes": note.size_bytes,
            "recipient": note.recipient,
            "manifest": _plain(note.manifest),
        }
    )


def parse_note(content: bytes) -> Note:
    """Read :func:`render_note`'s text; raises ValueError where it is of another form."""
    values = _document(content)
    try:
        note = Note(
            values["file"], values["sha256"], values["size_bytes"], values["recipient"], _manifest(values["manifest"])
        )
    except (KeyError, TypeError):
        raise ValueError("it lacks something") from None
    if made_at(note.file) is None or not _SHA256.fullmatch(note.sha256) or type(note.size_bytes) is not int:
        raise ValueError("it names no backup")
    return note


def _plain(manifest: Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at,
        "appliance": manifest.appliance,
        "audit_head": manifest.audit_head,
        "files": {name: {"size_bytes": m.size_bytes, "sha256": m.sha256} for name, m in sorted(manifest.files.items())},
        "bundles": [{"name": b.name, "sha256": b.sha256, "active": b.active} for b in manifest.bundles],
    }


def _text(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def _document(content: bytes) -> dict[str, Any]:
    values = json.loads(content)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    return values


def _manifest(values: Any) -> Manifest:
    try:
        files = {name: Member(int(file["size_bytes"]), str(file["sha256"])) for name, file in values["files"].items()}
        bundles = tuple(ListedBundle(str(b["name"]), str(b["sha256"]), bool(b["active"])) for b in values["bundles"])
        manifest = Manifest(int(values["made_at"]), str(values["appliance"]), files, bundles, str(values["audit_head"]))
    except (KeyError, TypeError, AttributeError):
        raise ValueError("it lacks something") from None
    for name, member in manifest.files.items():
        if not may_hold(name) or member.size_bytes < 0 or not _SHA256.fullmatch(member.sha256):
            raise ValueError(f"it names a member that no backup has: {name[:80]!r}")
    return manifest
