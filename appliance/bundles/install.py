"""Brings a bundle onto the box: whole and verified under its name, or not at all.

It is copied into a directory of another name, verified there, made durable and
renamed. What a run that was cut off has copied is not copied again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from appliance import durable
from appliance.bundles import digests, installed, verify
from appliance.bundles.digests import CHUNK_BYTES, Report, silent
from appliance.bundles.installed import INCOMING_PREFIX
from appliance.bundles.source import PackedSource, Source, read
from appliance.bundles.trust import Trust
from appliance.bundles.verify import Signed, Verified
from appliance.core import bundle_version
from appliance.core.manifest import FILE_NAME, SIGNATURE_NAME, Manifest
from appliance.errors import (
    ApplianceError,
    BundleExists,
    BundleOlder,
    BundleUntrusted,
    ModelUnusable,
    NotEnoughDisk,
    StateUnusable,
)
from appliance.settings import Settings

#: Left free beside the bundle: the box goes on writing its audit.
SPARE_BYTES = 256 * 2**20
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


@dataclass(frozen=True)
class Outcome:
    """What an install came to.

    Args:
        bundle: the installed bundle, verified where it is now.
        was_there: whether it was installed already.
    """

    bundle: Verified
    was_there: bool


@dataclass(frozen=True)
class Judge:
    """What decides whether a bundle may come in.

    Args:
        trust: the keys this box trusts.
        now: Unix time in seconds.
        checks: names of the checks its golden questions may ask for.
        allow_downgrade: whether it may be older than one of its name that is installed.
    """

    trust: Trust
    now: float
    checks: frozenset[str]
    allow_downgrade: bool = False

    def verify(self, directory: Path, report: Report = silent) -> Verified:
        """As :func:`verify.directory`."""
        return verify.directory(directory, self.trust, self.now, checks=self.checks, report=report)

    def verify_packed(self, source: PackedSource, report: Report = silent) -> Signed:
        """As :func:`verify.files`."""
        return verify.files(source, self.trust, self.now, checks=self.checks, report=report)


def run(source: Source, tree: Settings, judge: Judge, report: Report = silent) -> Outcome:
    """Install a bundle. The caller holds :func:`installed.change`.

    Args:
        source: where it comes from.
        tree: the settings; they say where bundles are.
        judge: decides whether it may.
        report: told how many bytes of how many are done, copying and verifying each once.

    Raises:
        BundleUntrusted, ModelUnusable, BundleTooNew: see :func:`verify.directory`.
        BundleOlder: a newer one of its name is installed.
        BundleExists: its name and version are, with other content.
        NotEnoughDisk: it does not fit.
        StateUnusable: the bundles' directory cannot be written.
    """
    signature, stated = source.document(SIGNATURE_NAME), source.document(FILE_NAME)
    signed = verify.read_signed(signature, stated, judge.trust, judge.now)
    _no_more_than_signed(source, signed)
    target = tree.bundles_dir / signed.manifest.directory_name
    if target.is_dir() and (there := _verified(target, judge)) is not None:
        if there.manifest != signed.manifest:
            raise BundleExists(f"Another bundle {target.name} is installed.")
        return Outcome(there, was_there=True)
    if not judge.allow_downgrade:
        require_newer(signed.manifest, tree)
    copy = _Copy(source, signed, {SIGNATURE_NAME: signature, FILE_NAME: stated}, target, report)
    _discard_others(tree, copy.incoming)
    try:
        verified = copy.verified(judge)
        copy.put(target)
    except OSError as err:
        raise StateUnusable(f"The bundle cannot be written to {tree.bundles_dir}: {err.strerror}.") from None
    return Outcome(Verified(target, verified.manifest, verified.key), was_there=False)


def require_newer(stated: Manifest, tree: Settings) -> None:
    """Refuse a bundle that is older than one of its name on the box.

    Raises:
        BundleOlder: it is.
    """
    for other in installed.everything(tree):
        if other.is_signed and other.manifest is not None:
            _require_not_older(stated, other.manifest)


def require_not_older(stated: Manifest, active: Path) -> None:
    """Refuse a bundle that is older than the one of its name that is in use.

    Args:
        stated: of the bundle.
        active: directory of the one in use.

    Raises:
        BundleOlder: it is.
    """
    if (active / SIGNATURE_NAME).is_file():
        _require_not_older(stated, digests.read_manifest(active))


def _require_not_older(stated: Manifest, there: Manifest) -> None:
    if there.name != stated.name or bundle_version.parse(stated.version) >= bundle_version.parse(there.version):
        return
    raise BundleOlder(f"The bundle is of version {stated.version}, and version {there.version} is installed.")


def _no_more_than_signed(source: Source, signed: Signed) -> None:
    for name in sorted(source.names() - set(signed.digests) - {SIGNATURE_NAME}):
        raise BundleUntrusted(f"The bundle holds a file that was not signed: {name!r}.")


def _verified(directory: Path, judge: Judge) -> Verified | None:
    try:
        return judge.verify(directory)
    except ApplianceError:
        return None  # damaged since: it is installed anew


def _discard_others(tree: Settings, incoming: Path) -> None:
    """Remove what cut-off installs of other bundles have left, and what was replaced."""
    for left in tree.bundles_dir.glob(f"{INCOMING_PREFIX}*"):
        if left != incoming:
            shutil.rmtree(left, ignore_errors=True)


class _Copy:
    """A bundle on its way in, in a directory of its own."""

    def __init__(
        self, source: Source, signed: Signed, documents: dict[str, bytes], target: Path, report: Report
    ) -> None:
        self.incoming = target.with_name(INCOMING_PREFIX + target.name)
        self._source = source
        self._signed = signed
        self._documents = documents
        self._report = report
        self._files = signed.manifest.files

    def verified(self, judge: Judge) -> Verified:
        """Copy and verify. If what a cut-off run left does not fit, a power cut is the reason: copy all of it anew."""
        resumed = self._fill()
        size_bytes = self._signed.manifest.size_bytes
        while True:
            try:
                return judge.verify(self.incoming, lambda done, _: self._report(size_bytes + done, 2 * size_bytes))
            except (BundleUntrusted, ModelUnusable):
                shutil.rmtree(self.incoming)
                if not resumed:
                    raise
            resumed = self._fill()

    def put(self, target: Path) -> None:
        """Give the verified copy its name; a damaged one of that name gives way in the same step."""
        durable.sync_tree(self.incoming)
        if target.exists():
            durable.exchange(self.incoming, target)
            shutil.rmtree(self.incoming)
        else:
            self.incoming.rename(target)
        durable.sync_directory(target.parent)

    def _fill(self) -> bool:
        """Copy what is not there yet; whether anything was."""
        self._make_room()
        there = {name: _length(self.incoming / name) for name in self._files}
        kept = {name: size if size <= self._files[name].size_bytes else 0 for name, size in there.items()}
        self._require_disk(sum(kept.values()))
        done = sum(kept.values())
        for name in sorted(self._files):
            done = self._copy(name, kept[name], done)
        return any(kept.values())

    def _make_room(self) -> None:
        """A directory with the two documents and nothing that belongs to another bundle."""
        if self.incoming.exists() and not _is(self.incoming / SIGNATURE_NAME, self._documents[SIGNATURE_NAME]):
            shutil.rmtree(self.incoming)
        self.incoming.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
        for path in self.incoming.rglob("*"):
            if not path.is_dir() and path.relative_to(self.incoming).as_posix() not in self._signed.digests:
                path.unlink()
        for name, content in self._documents.items():
            durable.write(self.incoming / name, content, mode=_FILE_MODE)

    def _require_disk(self, there_bytes: int) -> None:
        needed = self._signed.manifest.size_bytes - there_bytes + SPARE_BYTES
        free = shutil.disk_usage(self.incoming).free
        if free < needed:
            raise NotEnoughDisk(
                f"The bundle needs {needed // 2**20} MiB more in {self.incoming.parent}, {free // 2**20} MiB are free."
            )

    def _copy(self, name: str, start: int, done: int) -> int:
        """Copy the rest of one file from ``start`` on and have it on disk; how many bytes of all files are done."""
        target, total = self.incoming / name, 2 * self._signed.manifest.size_bytes
        left = self._files[name].size_bytes - start
        target.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as copy, self._source.open(name) as file:
            os.fchmod(descriptor, _FILE_MODE)
            copy.truncate(start)
            copy.seek(start)
            file.seek(start)
            while left > 0 and (data := read(file, name, min(CHUNK_BYTES, left))):
                copy.write(data)
                left -= len(data)
                done += len(data)
                self._report(done, total)
            copy.flush()
            os.fsync(descriptor)
        return done


def _is(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _length(path: Path) -> int:
    return path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
