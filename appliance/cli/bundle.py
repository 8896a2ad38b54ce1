"""``appliance bundle``: model bundles, on the box and where they are made."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.bundles import install, installed, pack, sign, source, verify
from appliance.bundles.install import Judge
from appliance.bundles.installed import Installed
from appliance.bundles.source import PackedSource
from appliance.bundles.trust import Trust
from appliance.bundles.verify import Signed, Verified
from appliance.cli import activation, bundle_build, checkers, state
from appliance.cli.activation import Activated
from appliance.cli.state import StateDir
from appliance.cli.steps import Steps
from appliance.core import sbom, trusted_key
from appliance.core.manifest import FILE_NAME, SIGNATURE_NAME
from appliance.core.preflight import gigabytes
from appliance.core.trusted_key import TrustedKey
from appliance.errors import BundleNotFound, BundleOlder, ModelUnusable
from appliance.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Model bundles: verify, install, list, activate; and pack and sign.")
app.command("build")(bundle_build.build)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BundlePath = Annotated[
    Path, typer.Argument(help="A bundle: its directory, its .bundle file, or a folder (a USB stick) with one.")
]
Name = Annotated[str, typer.Argument(help="An installed bundle: NAME-VERSION, or NAME if there is one version.")]
AllowDowngrade = Annotated[
    bool, typer.Option("--allow-downgrade", help="Take it although a newer one of its name is there.")
]


@app.command("verify")
def verify_bundle(path: BundlePath, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Check a bundle: signed by a trusted key, every file as signed, nothing in it that can run. Exit 65 if not.

    Example: appliance bundle verify /media/usb/tutor-1.2.0.bundle
    """
    tree = state.load(state_dir)
    judge = _judge(tree)
    there = source.find(path)
    with Steps(1).step("Verify every file") as step:
        found = (
            judge.verify_packed(there, step.count)
            if isinstance(there, PackedSource)
            else judge.verify(path, step.count)
        )
    _show(_view(found), as_json=as_json)


@app.command()
def inspect(path: BundlePath, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Show what a signed bundle says of itself, without reading its weights.

    Example: appliance bundle inspect /media/usb/tutor-1.2.0.bundle --json
    """
    tree = state.load(state_dir)
    if not path.exists() and len(path.parts) == 1:
        path = installed.find(tree, path.name).directory
    there = source.find(path)
    documents = there.document(SIGNATURE_NAME), there.document(FILE_NAME)
    signed = verify.read_signed(*documents, Trust.read(tree.trusted_keys_dir), None)
    view = _view(signed) | {
        "base": signed.manifest.base,
        "recipe_sha256": signed.manifest.recipe_sha256,
        "evaluation": dict(signed.manifest.evaluation),
        "engine": {name: arguments.stated() for name, arguments in signed.manifest.engine.items()},
        "components": _components(there.document(signed.manifest.sbom)),
        "files": {name: listed.size_bytes for name, listed in sorted(signed.manifest.files.items())},
    }
    _show(view, as_json=as_json)


@app.command("install")
def install_bundle(
    path: BundlePath,
    state_dir: StateDir = None,
    activate: Annotated[bool, typer.Option("--activate", help="Put it in use as well.")] = False,
    allow_downgrade: AllowDowngrade = False,
    as_json: Json = False,
) -> None:
    """Copy a bundle onto this box and verify it there. Run it again if it was cut off: it goes on where it stopped.

    Example: appliance bundle install /media/usb --activate
    """
    tree = state.load(state_dir)
    with installed.change(tree):
        with Steps(1).step("Copy and verify every file") as step:
            outcome = install.run(source.find(path), tree, _judge(tree, allow_downgrade=allow_downgrade), step.count)
            step.outcome = (
                f"{'was installed already' if outcome.was_there else 'installed'}: {outcome.bundle.directory}"
            )
        activated = activation.activate(tree, outcome.bundle) if activate else None
    view = _view(outcome.bundle) | {"was_installed": outcome.was_there, "active": activated is not None}
    if as_json:
        typer.echo(json.dumps(view | ({"activation": activated.view()} if activated else {}), ensure_ascii=False))
    elif activated is not None:
        _say(activated)
    else:
        typer.echo(
            f"installed: {outcome.bundle.directory.name}. Put it in use: appliance bundle activate "
            f"{outcome.bundle.directory.name}",
            err=True,
        )


@app.command("list")
def list_bundles(state_dir: StateDir = None, as_json: Json = False) -> None:
    """List the bundles on this box, and which one is in use.

    Example: appliance bundle list --json
    """
    found = installed.everything(state.load(state_dir))
    if as_json:
        typer.echo(json.dumps([_row(one) for one in found], ensure_ascii=False))
        return
    table = Table(box=None)
    for title in ("bundle", "state", "quantization", "size", "base"):
        table.add_column(title, no_wrap=title != "base", overflow="fold")
    for one in found:
        row = _row(one)
        table.add_row(
            Text(str(row["bundle"])),
            str(row["state"]),
            Text(row["quantization"]),
            gigabytes(row["size_bytes"]),
            Text(row["base"]),
        )
    Console().print(table)


@app.command()
def activate(
    name: Name, state_dir: StateDir = None, allow_downgrade: AllowDowngrade = False, as_json: Json = False
) -> None:
    """Put an installed bundle in use. A running engine changes to it after its golden questions; requests wait meanwhile.

    If the new model cannot be loaded or answers a golden question wrong, the old
    one serves on, and this says why and exits 70.

    Example: appliance bundle activate tutor-1.2.0
    """
    tree = state.load(state_dir)
    with installed.change(tree):
        directory = installed.find(tree, name).directory
        verified = _verified(directory, tree)
        if not allow_downgrade:
            _require_no_downgrade(verified, tree)
        activated = activation.activate(tree, verified)
    _done(activated, as_json=as_json)


@app.command()
def rollback(state_dir: StateDir = None, as_json: Json = False) -> None:
    """Go back to the bundle that was in use before.

    Example: appliance bundle rollback
    """
    tree = state.load(state_dir)
    with installed.change(tree):
        before = installed.previous(tree)
        if before is None or before == installed.active(tree):
            raise BundleNotFound("No bundle was in use before.")
        activated = activation.activate(tree, _verified(before, tree))
    _done(activated, as_json=as_json)


@app.command()
def remove(name: Name, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Remove an installed bundle that is neither in use nor the way back.

    Example: appliance bundle remove tutor-1.0.0
    """
    tree = state.load(state_dir)
    with installed.change(tree):
        gone = installed.find(tree, name)
        installed.remove(gone)
    if as_json:
        typer.echo(json.dumps(_row(gone), ensure_ascii=False))
    else:
        typer.echo(f"removed: {gone.directory.name}", err=True)


@app.command("pack")
def pack_bundle(
    directory: Annotated[Path, typer.Argument(help="A signed bundle's directory.")],
    out: Annotated[
        Path, typer.Option("--out", help="File to write, or folder to write NAME-VERSION.bundle into.")
    ] = Path(),
) -> None:
    """Pack a signed bundle into one file to carry, such as on a USB stick. The same bundle gives the same bytes.

    Example: appliance bundle pack build/tutor-1.2.0 --out /media/usb
    """
    with Steps(1).step("Pack") as step:
        typer.echo(pack.archive(directory, out, step.count))


@app.command("sign")
def sign_bundle(
    directory: Annotated[Path, typer.Argument(help="A sealed bundle's directory.")],
    key: Annotated[Path, typer.Option("--key", help="The private key, a PEM file.")],
    password_file: Annotated[Path | None, typer.Option("--password-file", help="File with the key's password.")] = None,
) -> None:
    """Sign a bundle, in the OpenSSF's model signing format.

    Example: appliance bundle sign build/tutor-1.2.0 --key bundle-key.pem
    """
    password = password_file.read_bytes().strip() if password_file else None
    typer.echo(sign.directory(directory, key, password))


@app.command()
def keygen(
    out: Annotated[Path, typer.Option("--out", help="File for the private key; the trusted key goes beside it.")],
    owner: Annotated[str, typer.Option("--owner", help="Who signs with it, as boxes will show it.")],
    not_after: Annotated[
        str, typer.Option("--not-after", help="Last day on which boxes take its bundles, 2028-12-31.")
    ],
) -> None:
    """Make a signing key, and the file with which boxes trust it (into their directory of trusted keys).

    Example: appliance bundle keygen --out bundle-key.pem --owner "Example Education" --not-after 2028-12-31
    """
    try:
        last_day = date.fromisoformat(not_after)
    except ValueError:
        raise typer.BadParameter("write it as 2028-12-31", param_hint="--not-after") from None
    public = out.with_suffix(".toml")
    public_text = sign.make_key(out)
    public.write_text(trusted_key.render(TrustedKey(owner, last_day, public_text)), encoding="utf-8")
    typer.echo(f"private key, keep it to yourself: {out}\ntrusted key, for the boxes: {public}", err=True)


def _judge(tree: Settings, *, allow_downgrade: bool = False) -> Judge:
    trust = Trust.read(tree.trusted_keys_dir)
    return Judge(trust, time.time(), frozenset(checkers.CHECKERS), allow_downgrade)


def _verified(directory: Path, tree: Settings) -> Verified:
    with Steps(1).step(f"Verify {directory.name}") as step:
        return _judge(tree).verify(directory, step.count)


def _require_no_downgrade(bundle: Verified, tree: Settings) -> None:
    now = installed.active(tree)
    if now is None:
        return
    try:
        install.require_not_older(bundle.manifest, now)
    except BundleOlder as err:
        raise BundleOlder(err.message, remedy="Give --allow-downgrade, or use `appliance bundle rollback`.") from None


def _view(bundle: Verified | Signed) -> dict[str, Any]:
    stated = bundle.manifest
    return {
        "name": stated.name,
        "version": stated.version,
        "licence": stated.licence,
        "quantization": stated.quantization,
        "size_bytes": stated.size_bytes,
        "min_host_bytes": stated.min_host_bytes,
        "min_gpu_bytes": stated.min_gpu_bytes,
        "signed_by": bundle.key.owner,
        "key_ends": bundle.key.not_after.isoformat(),
    }


def _components(content: bytes) -> list[str]:
    try:
        return sbom.names(json.loads(content))
    except ValueError:
        raise ModelUnusable("The bundle's list of components is not JSON.") from None


def _row(one: Installed) -> dict[str, Any]:
    marks = {"active": one.is_active, "previous": one.is_previous, "unsigned": not one.is_signed}
    stated = one.manifest
    return {
        "bundle": one.directory.name,
        "name": stated.name if stated else None,
        "version": stated.version if stated else None,
        "state": " ".join(mark for mark, holds in marks.items() if holds) if stated else "damaged",
        "active": one.is_active,
        "previous": one.is_previous,
        "signed": one.is_signed,
        "quantization": stated.quantization if stated else "",
        "size_bytes": stated.size_bytes if stated else 0,
        "base": stated.base if stated else "",
    }


def _show(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(view, ensure_ascii=False))
        return
    width = max(len(name) for name in view)
    for name, value in view.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for inner, one in value.items():
                typer.echo(f"  {inner}: {one}")
        elif isinstance(value, list):
            typer.echo(f"{name}: {', '.join(map(str, value))}")
        else:
            typer.echo(f"{name:<{width}}  {value}")


def _done(activated: Activated, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(activated.view(), ensure_ascii=False))
    else:
        _say(activated)


def _say(activated: Activated) -> None:
    what = f"{activated.manifest.name} {activated.manifest.version}"
    if activated.was_running:
        how = f"serves; it answered {activated.questions} golden questions right"
    else:
        how = "serves from the next start on: no engine runs, so its golden questions were not asked"
    typer.echo(f"{what} {how}.", err=True)
