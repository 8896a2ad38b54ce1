"""This box as the checks of the controls look at it: the machine, and what the rooms say of themselves."""

from __future__ import annotations

import asyncio
import json
import site
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from appliance import settings as settings_module
from appliance.bundles import digests, verify
from appliance.bundles.trust import Trust
from appliance.cli import drop_totals
from appliance.core import egress, manifest
from appliance.core.catalogue import Catalogue, Model
from appliance.engine import command, hardware, model, profiles
from appliance.errors import ApplianceError, BundleUntrusted, ModelUnusable
from appliance.gateway.asgi import Message, Receive, Scope, Send, respond
from appliance.gateway.cache_salt import CacheSalt
from appliance.gateway.failures import Failures
from appliance.gateway.families import FAMILIES
from appliance.gateway.operations import CHAT, OPERATIONS
from appliance.gateway.privacy import Cleaner
from appliance.gateway.record_reader import RecordReader
from appliance.health import host
from appliance.health.host import Host, Line
from appliance.settings import Settings

#: A name for the checks' own requests.
_CATALOGUE = Catalogue((Model("x", 0, 0),), {})
_SECRET_BYTES = 32


def look(tree: Settings) -> Host:
    """The box of these settings."""
    salts = CacheSalt(bytes(_SECRET_BYTES))
    return Host(
        settings=tree,
        settings_file=settings_module.file_in_use(),
        now=time.time(),
        ask=host.ask,
        verify_audit=lambda: RecordReader(tree.record_database_path).verify(),
        signer=lambda directory: signer(directory, tree),
        launch_line=lambda: launch_line(tree),
        refusal=lambda path, body: refusal(tree, path, body),
        answered_id=answered_id,
        salted=lambda account: salts.into(b"{}", account),
        routes=frozenset((operation.method, operation.path) for operation in OPERATIONS),
        metric_labels=frozenset(label for family in FAMILIES for label in family.labels),
        planned_rules=egress.ruleset(tree.traffic),
        version_of=version_of,
        site_packages=tuple(Path(directory) for directory in dict.fromkeys([*site.getsitepackages(), *_user_site()])),
        up_seconds=drop_totals.up_seconds(),
    )


def signer(directory: Path, tree: Settings) -> str:
    """Who signed the model in a directory, every signed file unchanged and none beside them that could be a model's.

    A file that may not be in a bundle at all is another control's finding.

    Raises:
        BundleUntrusted: it is not signed by a trusted key, or not what was signed.
    """
    documents = [directory / manifest.SIGNATURE_NAME, directory / manifest.FILE_NAME]
    if not all(path.is_file() for path in documents):
        raise BundleUntrusted("The model in use is not signed.")
    signed = verify.read_signed(
        documents[0].read_bytes(), documents[1].read_bytes(), Trust.read(tree.trusted_keys_dir), None
    )
    for name, wanted in signed.digests.items():
        if not (directory / name).is_file() or digests.of_file(directory / name) != wanted:
            raise BundleUntrusted(f"The file {name} of the model in use is not the one that was signed.")
    there = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    for name in sorted(there - set(signed.digests) - {manifest.SIGNATURE_NAME, manifest.FILE_NAME}):
        if not manifest.problems([name]):
            raise BundleUntrusted(f"The file {name} of the model in use was not signed.")
    return signed.key.owner


def launch_line(tree: Settings) -> Line:
    """The line of the engine's next start; raises ApplianceError where there can be none."""
    if not tree.model_dir.is_dir():
        raise ModelUnusable("No model is in use.")
    device = hardware.detect(tree.engine.device)
    profile = profiles.choose(device, tree.engine.profile)
    checked = model.read(tree.model_dir, tree.engine.served_model_name, check_digests=False)
    line = command.build(checked, profiles.adapt(profile, checked.engine.get(profile.name)), tree)
    return Line(line.argv, line.environment)


def refusal(tree: Settings, path: str, body: dict[str, Any]) -> str:
    """The key of the error that the gateway's parser refuses a body with; empty if it takes it."""
    cleaner = Cleaner(tree.gateway)
    clean = cleaner.chat if path == CHAT else cleaner.completion
    try:
        clean(json.dumps(body).encode(), _CATALOGUE)
    except ApplianceError as err:
        return err.key
    return ""


def answered_id(chosen: str) -> str:
    """The ``x-request-id`` of an answer to a request that brings one, through the gateway's outermost layer."""
    answered: list[tuple[bytes, bytes]] = []

    async def inner(_scope: Scope, _receive: Receive, send: Send) -> None:
        await respond(send, 200, b"{}", [])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answered.extend(message.get("headers", []))

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "headers": [(b"x-request-id", chosen.encode())],
    }
    asyncio.run(Failures(inner, lambda _path: "(check)")(scope, receive, send))
    return next((value.decode("latin-1") for name, value in answered if name == b"x-request-id"), "")


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None if it is not there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _user_site() -> list[str]:
    return [] if sys.flags.no_user_site or not site.ENABLE_USER_SITE else [site.getusersitepackages()]
