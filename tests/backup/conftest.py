"""A state directory with something in it, and the means to back it up."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from appliance.backup import recovery_key
from appliance.backup.snapshot import Sources
from appliance.backup.store import Plan
from appliance.core.audit_chain import Record
from appliance.core.backup import ListedBundle
from appliance.gateway.keystore import KeyStore
from appliance.gateway.record_store import RecordStore

PAIR = recovery_key.make()


@pytest.fixture
def sources(state_dir: Path) -> Sources:
    """Keys, an audit, a trusted key, a result of upkeep's, a settings file."""
    state = state_dir / "state"
    KeyStore(state / "keys.sqlite3").create("homework", now=1.0)
    with closing(RecordStore(state / "records.sqlite3")) as store:
        store.append([Record("whole", 1_767_268_800_000, f"r{n}", app="homework", method="POST") for n in range(9)])
    for folder, name in (
        ("trust", "vendor.toml"),
        ("trust", "README"),
        ("upkeep", "audit.json"),
        ("upkeep", "machine-key.pem"),
    ):
        (state / folder).mkdir(exist_ok=True)
        (state / folder / name).write_text(f"{name}\n")
    settings = state_dir / "appliance.toml"
    settings.write_text("[backup]\nkeep = 2\n")
    return Sources(state, state / "trust", settings)


@pytest.fixture
def plan(sources: Sources, state_dir: Path) -> Plan:
    return Plan(
        sources=sources,
        directory=state_dir / "backups",
        recipient=recovery_key.recipient(PAIR.public),
        keep=2,
        version="0.1.0",
        bundles=(ListedBundle("tutor-1.0", "c" * 64, True),),
        sign=lambda content: b"signed " + content[:8],
    )
