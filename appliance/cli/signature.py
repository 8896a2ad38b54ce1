"""When a model directory must be signed before it is served, and by whom."""

from __future__ import annotations

from pathlib import Path

from appliance.bundles import verify
from appliance.bundles.trust import Trust
from appliance.cli import checkers
from appliance.core.manifest import SIGNATURE_NAME
from appliance.errors import BundleUntrusted
from appliance.settings import Settings


def check(directory: Path, tree: Settings) -> bool:
    """Verify a model directory that has a signature or needs one; whether it was verified.

    One is needed where the settings say so, and on any box that trusts a key.
    A key that has expired since the installation does not stop a box: what was
    installed while it was good goes on being served.

    Raises:
        BundleUntrusted, ModelUnusable, BundleTooNew: see :func:`verify.directory`.
    """
    trust = Trust.read(tree.trusted_keys_dir)
    if (directory / SIGNATURE_NAME).is_file():
        verify.directory(directory.resolve(), trust, None, checks=frozenset(checkers.CHECKERS))
        return True
    if trust.keys or tree.bundles.require_signature:
        raise BundleUntrusted(
            f"The model directory {directory} is not signed, and this box serves signed models only.",
            remedy="Install a signed bundle and activate it: appliance bundle install PATH.",
        )
    return False
