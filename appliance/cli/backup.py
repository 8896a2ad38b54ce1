"""``appliance backup``: make a recovery key; make, list, verify and restore backups."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

import appliance
from appliance import settings
from appliance.backup import recovery_key, restore, store
from appliance.backup.snapshot import Sources
from appliance.backup.store import Listed, Plan
from appliance.bundles import digests, installed
from appliance.cli import machine_key, state, upkeep_notes
from appliance.cli.state import StateDir
from appliance.core import manifest as bundle_manifest
from appliance.core import upkeep_note
from appliance.core.backup import TRUST, ListedBundle
from appliance.core.upkeep_note import Note
from appliance.errors import ApplianceError, BackupUnusable, SettingsInvalid
from appliance.gateway import tenure
from appliance.gateway.record_reader import RecordReader
from appliance.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Encrypted backups of settings, keys, usage and audit (docs/backup.md).")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Directory = Annotated[
    Path | None, typer.Option("--directory", help="Where the backups are; by default the setting backup.directory.")
]
Identity = Annotated[
    Path | None, typer.Option("--identity", help="File with the private recovery key, AGE-SECRET-KEY-1….")
]
MachineKey = Annotated[
    Path | None,
    typer.Option("--machine-key", help="Public machine key of the box that made it; by default this box's."),
]
File = Annotated[Path, typer.Argument(help="The backup, a file that ends in .age.")]


@app.command()
def keygen(
    out: Annotated[Path | None, typer.Option("--out", help="Write both halves into a new file, mode 0600.")] = None,
    as_json: Json = False,
) -> None:
    """Make a recovery key. The private half is shown this once: it belongs into the safe, not on the box.

    Example: appliance backup keygen --out /media/safe/recovery-key.txt
    """
    pair = recovery_key.make()
    if out is not None:
        recovery_key.save(pair, out)
    if as_json:
        typer.echo(json.dumps({"public": pair.public, **({"file": str(out)} if out else {"private": pair.private})}))
        return
    if out is None:
        typer.echo(f"private      {pair.private}\n             for the safe; who has it can read every backup")
    else:
        typer.echo(f"private      in {out}; put it into the safe, and keep no copy on the box")
    typer.echo(f'public       {pair.public}\nsettings     [backup]\n             recipient = "{pair.public}"')


@app.command()
def create(state_dir: StateDir = None, as_json: Json = False) -> None:
    """Make a backup while the appliance runs, and remove the oldest beyond the setting backup.keep.

    Example: appliance backup create --json
    """
    tree = state.load(state_dir)
    now = time.time()
    try:
        made = store.create(_plan(tree), now)
    except ApplianceError as err:
        _leave_note(tree, Note(now, ok=False, facts={"reason": err.message}))
        raise
    _leave_note(tree, Note(now, ok=True, facts={"file": made.path.name, "size_bytes": made.size_bytes}))
    if as_json:
        typer.echo(json.dumps(_view(made), ensure_ascii=False))
    else:
        typer.echo(f"backup       {made.path}, {_bytes(made.size_bytes)}")
        if made.note is not None:
            typer.echo(
                f"holds        {len(made.note.manifest.files)} files; audit head {made.note.manifest.audit_head}"
            )


@app.command("list")
def list_backups(state_dir: StateDir = None, directory: Directory = None, as_json: Json = False) -> None:
    """List the backups, oldest first.

    Example: appliance backup list --directory /mnt/backup --json
    """
    there = store.everything(_directory(state.load(state_dir), directory))
    if as_json:
        typer.echo(json.dumps([_view(one) for one in there], ensure_ascii=False))
        return
    for one in there:
        said = f"{len(one.note.manifest.files)} files" if one.note else "NO NOTE: it cannot be checked without its key"
        typer.echo(f"{one.path.name}  {_day(one.made_at)}  {_bytes(one.size_bytes):>16}  {said}")
    if not there:
        typer.echo("no backups")


@app.command()
def verify(
    file: File,
    state_dir: StateDir = None,
    identity: Identity = None,
    own_machine_key: MachineKey = None,
    as_json: Json = False,
) -> None:
    """Check a backup: with --identity everything in it, without only that it is the file that was made.

    Exit status 0 if it is good, 65 if it is not.

    Example: appliance backup verify /mnt/backup/appliance-20261123T020000Z.age --identity recovery-key.txt
    """
    tree = state.load(state_dir)
    fits = _verifier(tree, own_machine_key)
    note = store.check(file, fits)
    told: dict[str, Any] = {"file": file.name, "sha256": note.sha256, "signed": fits is not None, "opened": False}
    if identity is not None:
        audit: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(prefix=store.SCRATCH_PREFIX, dir=_scratch(tree)) as scratch:
            opened = restore.verify(file, recovery_key.read(identity), Path(scratch))
            audit = _audit(Path(scratch))
        if opened != note.manifest:
            raise BackupUnusable(f"{file.name} does not hold what its note says.")
        told |= {"opened": True, **audit}
    if as_json:
        typer.echo(json.dumps({**told, "files": sorted(note.manifest.files)}, ensure_ascii=False))
        return
    typer.echo(f"digest       right: {note.sha256}")
    typer.echo(f"signature    {_SIGNED if fits else _UNSIGNED}")
    typer.echo("content      " + ("whole" if identity else "not opened: that needs the private key, --identity"))
    if "audit" in told:
        typer.echo(f"audit        {told['audit']}, {told['records']} records")


@app.command("restore")
def restore_backup(
    file: File,
    identity: Annotated[Path, typer.Option("--identity", help="File with the private recovery key.")],
    state_dir: StateDir = None,
    own_machine_key: MachineKey = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Set aside what is in the state directory; it is kept beside.")
    ] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Take it although no machine key is there to tell who made it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup into the state directory; the gateway must be stopped.

    Settings and results of the old host are laid into restored-…, to be looked at. Bundles are not in a backup:
    the command lists those that were installed.

    Example: appliance backup restore appliance-20261123T020000Z.age --identity recovery-key.txt
    """
    tree = state.load(state_dir)
    key = recovery_key.read(identity)
    # On a fresh host there is no key to compare with; --machine-key names the one that was written down. Anybody who has
    # the public recovery key can make a backup that opens, with API keys of their own in it.
    fits = _verifier(tree, own_machine_key)
    if fits is None and not unproven:
        raise BackupUnusable(
            "Nothing here tells which box made this backup: there is no machine key to compare with.",
            remedy="Name the public key of that box with --machine-key; if it is lost, --unproven takes the backup on trust.",
        )
    note = store.check(file, fits)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    audit: dict[str, Any] = {}
    tree.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    with tenure.held(tree.state_dir.absolute()):
        done = restore.run(
            file,
            key,
            tree.state_dir.absolute(),
            replace=replace,
            stamp=stamp,
            to_look_at=_elsewhere(tree),
            examine=lambda directory: audit.update(_audit(directory)),
        )
        machine_key.give_to_owner(tree.state_dir / tenure.FILE_NAME)
    told = {
        "made_at": note.manifest.made_at,
        "signed": fits is not None,
        "files": done.files,
        "aside": done.aside,
        "replaced": str(done.replaced) if done.replaced else None,
        "bundles": [{"name": b.name, "sha256": b.sha256, "active": b.active} for b in done.manifest.bundles],
        **audit,
    }
    typer.echo(json.dumps(told, ensure_ascii=False) if as_json else _restored(told))


def _restored(told: dict[str, Any]) -> str:
    lines = [f"restored     {', '.join(told['files'])}, as of {_day(told['made_at'])}"]
    lines.append(f"signature    {_SIGNED if told['signed'] else _UNSIGNED}")
    if "audit" in told:
        lines.append(f"audit        {told['audit']}, {told['records']} records, head {told['head']}")
    lines.append(f"look at      {', '.join(told['aside'])} in the state directory")
    if told["replaced"]:
        lines.append(f"set aside    {told['replaced']}")
    lines += [
        f"install      bundle {bundle['name']}{' (was active)' if bundle['active'] else ''}"
        for bundle in told["bundles"]
    ]
    return "\n".join(lines)


_SIGNED = "the machine key's"
_UNSIGNED = "not checked: name the public key of the box that made it with --machine-key"


def _audit(directory: Path) -> dict[str, Any]:
    """What the audit in a directory is worth."""
    reader = RecordReader(directory / "records.sqlite3")
    if not (directory / "records.sqlite3").exists():
        return {}
    verdict = reader.verify()
    word = "whole" if verdict.problem is None else f"BROKEN: {verdict.problem.message}"
    return {"audit": word, "records": verdict.records, "head": str(verdict.head)}


def _plan(tree: Settings) -> Plan:
    if tree.backup.recipient is None:
        raise SettingsInvalid(
            "The setting backup.recipient is missing: backups are made for a recovery key only.",
            remedy="Make one with `appliance backup keygen`.",
        )
    return Plan(
        sources=Sources(tree.state_dir.absolute(), tree.trusted_keys_dir, settings.file_in_use()),
        directory=_directory(tree, None),
        recipient=recovery_key.recipient(tree.backup.recipient),
        keep=tree.backup.keep,
        version=appliance.__version__,
        bundles=tuple(
            ListedBundle(one.directory.name, digests.of_file(one.directory / bundle_manifest.FILE_NAME), one.is_active)
            for one in installed.everything(tree)
            if one.manifest is not None
        ),
        sign=machine_key.signer(tree),
    )


def _directory(tree: Settings, given: Path | None) -> Path:
    directory = given or tree.backup.directory
    if directory is None:
        raise SettingsInvalid(
            "The setting backup.directory is missing.", remedy="Set it, or name a directory with --directory."
        )
    return directory.absolute()


def _verifier(tree: Settings, given: Path | None) -> Callable[[bytes, bytes], bool] | None:
    public = given or machine_key.public_path(tree)
    return machine_key.verifier(public) if given is not None or public.exists() else None


def _elsewhere(tree: Settings) -> frozenset[str]:
    """Trusted keys that the settings keep outside the state directory are for an administrator to put back."""
    return frozenset() if tree.trusted_keys_dir.parent == tree.state_dir.absolute() else frozenset({TRUST})


def _scratch(tree: Settings) -> Path | None:
    """Where a backup is taken apart: below the state directory if there is one, whose content is as secret."""
    return tree.upkeep_dir if tree.upkeep_dir.is_dir() else None


def _leave_note(tree: Settings, note: Note) -> None:
    """For upkeep and the evidence; a failure keeps what is known of the last success."""
    path = tree.upkeep_dir / upkeep_notes.BACKUP
    if note.ok:
        facts = {**note.facts, "last_success_at": note.at}
    else:
        try:
            before = upkeep_note.decode(path.read_bytes()).facts
        except (OSError, ValueError):
            before = {}
        facts = {name: before[name] for name in ("last_success_at", "size_bytes", "file") if name in before}
        facts |= note.facts
    upkeep_notes.leave(path, Note(note.at, note.ok, facts))


def _view(one: Listed) -> dict[str, Any]:
    note = one.note
    return {
        "file": str(one.path),
        "made_at": one.made_at,
        "size_bytes": one.size_bytes,
        "sha256": note.sha256 if note else None,
        "files": sorted(note.manifest.files) if note else None,
        "audit_head": note.manifest.audit_head if note else None,
        "bundles": [bundle.name for bundle in note.manifest.bundles] if note else None,
    }


def _bytes(count: int) -> str:
    return f"{count:,} bytes"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
