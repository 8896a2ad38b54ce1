"""Who may open what the appliance keeps?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.health.host import Host

_OTHERS = 0o007
_NOT_OWNER = 0o077
_WRITING = 0o022
#: For their owner alone.
_PRIVATE = ("records.key", "upkeep/machine-key.pem", "signing-key.pem", "demo-key")
#: Closed to users who are in none of the appliance's groups.
_CLOSED = ("keys.sqlite3", "limits.sqlite3", "records.sqlite3", "records.head")
_COMPANIONS = ("", "-wal", "-shm")


def modes(host: Host) -> Result:
    """Private keys are for their owner, databases and settings closed to others, bundles written by nobody else."""
    state = host.settings.state_dir.absolute()
    try:
        odd = list(_odd(host, state))
    except OSError as err:
        return unknown(f"{err.filename} cannot be looked at: {err.strerror}", f"확인할 수 없음: {err.filename}")
    if odd:
        return failed("; ".join(odd), "; ".join(odd))
    return passed(f"all modes in {state} are as made", f"{state}의 모든 권한이 올바름")


def _odd(host: Host, state: Path) -> Iterator[str]:
    for name in _PRIVATE:
        yield from _open_to(state / name, _NOT_OWNER)
    for name in _CLOSED:
        for suffix in _COMPANIONS:
            yield from _open_to(state / (name + suffix), _OTHERS)
    yield from _open_to(state, _WRITING)
    if host.settings.gateway.tls_key_path is not None:
        yield from _open_to(host.settings.gateway.tls_key_path, _OTHERS | _WRITING)
    if host.settings_file is not None:
        yield from _open_to(host.settings_file, _OTHERS | _WRITING)
    for path in _below(host.settings.bundles_dir, host.settings.trusted_keys_dir):
        yield from _open_to(path, _WRITING)
    backups = host.settings.backup.directory
    for path in backups.glob("appliance-*") if backups is not None else ():
        yield from _open_to(path, _NOT_OWNER)


def _below(*directories: Path) -> Iterator[Path]:
    for directory in directories:
        for folder, _, files in os.walk(directory):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                if not path.is_symlink() and path.name != ".lock":
                    yield path


def _open_to(path: Path, bits: int) -> Iterator[str]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return
    if mode & bits:
        yield f"{path} has mode {mode:04o}"
