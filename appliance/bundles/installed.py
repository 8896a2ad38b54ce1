"""The bundles on this box: ``<state_dir>/bundles/<name>-<version>``, and which of them is in use.

Two symbolic links beside them say so: ``active``, and ``previous`` for the way
back. Both change by rename, ``previous`` first, so that whatever moment the
power fails, ``active`` names a whole bundle.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import durable, lockfile
from appliance.bundles import digests
from appliance.core.manifest import SIGNATURE_NAME, Manifest
from appliance.errors import AlreadyRunning, BundleInUse, BundleNotFound, ModelUnusable, StateUnusable
from appliance.settings import Settings

#: Of a directory that is being filled; the rest of its name is that of the bundle.
INCOMING_PREFIX = ".incoming-"


@dataclass(frozen=True)
class Installed:
    """One bundle on the box.

    Args:
        directory: its place.
        manifest: what it says of itself; None if that cannot be read.
        is_signed: whether it has a signature, which is not checked here.
        is_active: whether it is the one in use.
        is_previous: whether it is the one that was in use before.
    """

    directory: Path
    manifest: Manifest | None
    is_signed: bool
    is_active: bool
    is_previous: bool


def everything(tree: Settings) -> list[Installed]:
    """The bundles on the box, by name of their directories."""
    now, before = active(tree), previous(tree)
    found = []
    for path in sorted(tree.bundles_dir.glob("[!.]*")):
        if path.is_dir() and not path.is_symlink():
            signed = (path / SIGNATURE_NAME).is_file()
            found.append(Installed(path, _stated(path), signed, path == now, path == before))
    return found


def find(tree: Settings, name: str) -> Installed:
    """The bundle that a person means: ``name-version``, or a name of which one version is installed.

    Raises:
        BundleNotFound: there is none, or there are several versions.
    """
    there = everything(tree)
    meant = [one for one in there if one.directory.name == name]
    meant = meant or [one for one in there if one.manifest is not None and one.manifest.name == name]
    if len(meant) == 1:
        return meant[0]
    if meant:
        versions = ", ".join(one.directory.name for one in meant)
        raise BundleNotFound(f"There are several versions of {name}.", remedy=f"Name one of them: {versions}.")
    raise BundleNotFound(f"There is no bundle {name!r} on this box.")


def active(tree: Settings) -> Path | None:
    """Directory of the bundle in use, or None."""
    return _followed(tree.state_dir.absolute() / "active")


def previous(tree: Settings) -> Path | None:
    """Directory of the bundle that was in use before, or None."""
    return _followed(tree.state_dir.absolute() / "previous")


def activate(tree: Settings, directory: Path) -> None:
    """Put a bundle in use and remember the one before; nothing happens if it is in use already.

    Raises:
        ModelUnusable: something that is no symbolic link stands in the way.
    """
    state = tree.state_dir.absolute()
    for link in (state / "active", state / "previous"):
        if link.exists() and not link.is_symlink():
            raise ModelUnusable(
                f"{link} is not the symbolic link it should be.", remedy="Move it away and run the same command again."
            )
    before = active(tree)
    if before == directory.resolve():
        return
    if before is not None:
        durable.link(state / "previous", before)
    durable.link(state / "active", directory)


def remove(bundle: Installed) -> None:
    """Remove a bundle from the box. It loses its name first, so that none is ever there in part.

    Raises:
        BundleInUse: it is in use, or the way back.
    """
    if bundle.is_active or bundle.is_previous:
        raise BundleInUse(f"{bundle.directory.name} is {'in use' if bundle.is_active else 'the way back'}.")
    leaving = bundle.directory.with_name(INCOMING_PREFIX + bundle.directory.name)
    shutil.rmtree(leaving, ignore_errors=True)
    bundle.directory.rename(leaving)
    durable.sync_directory(leaving.parent)
    shutil.rmtree(leaving)


@contextmanager
def change(tree: Settings) -> Iterator[None]:
    """Hold the right to change what is installed or in use; the kernel lets go when the process ends.

    Raises:
        AlreadyRunning: another command holds it.
        StateUnusable: the directory cannot be written.
    """
    path = tree.bundles_dir / ".lock"
    try:
        file = lockfile.acquire(path)
    except BlockingIOError:
        raise AlreadyRunning(
            "Another command changes the bundles of this box.", remedy="Wait until it is done."
        ) from None
    except OSError as err:
        raise StateUnusable(f"The directory {path.parent} cannot be used: {err.strerror}.") from None
    with file:
        yield


def _followed(link: Path) -> Path | None:
    resolved = link.resolve()
    return resolved if link.is_symlink() and resolved.is_dir() else None


def _stated(directory: Path) -> Manifest | None:
    try:
        return digests.read_manifest(directory)
    except ModelUnusable:
        return None
