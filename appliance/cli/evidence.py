"""``appliance report --evidence`` and ``--egress``: what the box can prove about itself, signed with its machine key."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import appliance
from appliance import durable
from appliance.cli import drop_totals, machine_key, this_host
from appliance.core import egress, egress_statement, evidence, evidence_page, nft_listing
from appliance.core.egress_statement import Statement
from appliance.core.evidence import Evidence
from appliance.core.nft_listing import Dropped
from appliance.errors import StatementUnusable, StateUnusable
from appliance.health.controls import register
from appliance.health.host import Host
from appliance.settings import Settings

JSON_NAME, PAGE_NAME = "evidence.json", "evidence.html"
STATEMENTS = "statements"
_MODE, _DIRECTORY_MODE = 0o644, 0o750


def report(tree: Settings, out: Path) -> Evidence:
    """Check every control now; write ``evidence.json``, its signature, ``evidence.html`` and the public key.

    Raises:
        SigningFailed, StateUnusable: the machine key or the directory cannot be used.
    """
    sign = machine_key.signer(tree)
    fingerprint = machine_key.fingerprint(machine_key.public_path(tree))
    seen = this_host.look(tree)
    results = evidence.complete(register.run(seen))
    found = Evidence(seen.now, socket.gethostname(), appliance.__version__, fingerprint, results)
    text = (json.dumps(evidence.document(found), indent=1, ensure_ascii=False) + "\n").encode()
    _write(
        out,
        {
            JSON_NAME: text,
            f"{JSON_NAME}.sig": sign(text),
            PAGE_NAME: evidence_page.render(found).encode(),
            machine_key.PUBLIC_NAME: machine_key.public_path(tree).read_bytes(),
        },
    )
    return found


def state_egress(tree: Settings, out: Path | None) -> tuple[Statement, Path]:
    """Write the statement of this moment and its signature; returns it and its file.

    Args:
        tree: the settings.
        out: directory; by default ``<state_dir>/upkeep/statements``.

    Raises:
        SigningFailed, StateUnusable: the machine key or the directory cannot be used.
    """
    directory = out or tree.upkeep_dir / STATEMENTS
    sign = machine_key.signer(tree)
    seen = this_host.look(tree)
    boot = _boot(seen)
    before, earlier = _before(directory, egress_statement.file_name(seen.now))
    dropped = _dropped(seen)
    statement = Statement(
        at=seen.now,
        host=socket.gethostname(),
        machine_key=machine_key.fingerprint(machine_key.public_path(tree)),
        rules_sha256=egress.digest(seen.planned_rules),
        results={key: register.CHECKS[key](seen) for key in egress_statement.KEYS},
        dropped=dropped,
        boot=boot,
        total=drop_totals.keep(tree, dropped),
        before=before,
        earlier=egress_statement.earlier(earlier, boot),
    )
    name, text = egress_statement.file_name(seen.now), egress_statement.render(statement)
    _write(directory, {name: text, f"{name}.sig": sign(text)})
    return statement, directory / name


def verify(file: Path, public: Path) -> dict[str, Any]:
    """The values of a statement or evidence report whose signature fits.

    Raises:
        StatementUnusable: it cannot be read, or the signature is not the key's.
    """
    fits = machine_key.verifier(public)
    try:
        content = file.read_bytes()
        signature = file.with_name(f"{file.name}.sig").read_bytes()
    except OSError as err:
        raise StatementUnusable(f"{err.filename} cannot be read: {err.strerror}.") from None
    if not fits(content, signature):
        raise StatementUnusable(
            f"The signature of {file.name} is not that of {public}: it was changed, or another box wrote it.",
            remedy="Do not rely on it; ask for the file and the .sig file beside it again.",
        )
    try:
        values = json.loads(content)
    except ValueError:
        values = None
    if not isinstance(values, dict) or values.get("kind") not in {egress_statement.KIND, evidence.KIND}:
        raise StatementUnusable(f"{file.name} is signed, and is no statement.")
    return values


def _before(directory: Path, today: str) -> tuple[str, dict[str, Any]]:
    """Digest and values of the newest statement that this one does not replace; empty where there are none."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    newest = egress_statement.latest([name for name in names if name != today])
    if newest is None:
        return "", {}
    content = (directory / newest).read_bytes()
    try:
        values = egress_statement.parse(content)
    except ValueError:
        values = {}
    return hashlib.sha256(content).hexdigest(), values


def _dropped(seen: Host) -> dict[str, Dropped]:
    answer = seen.ask(("nft", "-j", "list", "counters", "table", *egress.TABLE.split()))
    try:
        return nft_listing.dropped(answer.text) if not answer.problem else {}
    except ValueError:
        return {}


def _boot(seen: Host) -> str:
    return (seen.root / "proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        for name, content in files.items():
            durable.write(directory / name, content, mode=_MODE)
    except OSError as err:
        raise StateUnusable(
            f"The report cannot be written to {directory}: {err.strerror}.", remedy="Name another with --out."
        ) from None
