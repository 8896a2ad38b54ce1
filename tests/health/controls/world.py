"""A box on which everything is right, as far as a test machine can show one: real state, a stand-in for the kernel's.

``/proc``, ``nft``, ``systemctl`` and ``timedatectl`` are stand-ins: this
machine has no booted appliance. Keys, audit, bundle, certificate, notes and the
engine's launch line are made by the programs themselves.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.cli import this_host
from appliance.core import evidence
from appliance.core.audit_chain import Record
from appliance.core.evidence import Result
from appliance.gateway.keystore import KeyStore
from appliance.gateway.record_store import RecordStore
from appliance.health.controls import register, units
from appliance.health.host import Answer, Host
from appliance.settings import Settings
from tests.bundles import signed

NOW = time.time()
ENGINE_PID = 100
NFT_LIST, NFT_COUNTERS = "nft -s -u list table inet appliance", "nft -j list counters table inet appliance"
NFT_TABLES = "nft -j list tables"
CLOCK = "timedatectl show --property=NTPSynchronized --value"
DEVICES = "Inter-|   Receive\n face |bytes\n    lo: 0 0 0\n"


@dataclass
class World:
    """The box; a test breaks one thing of it and looks.

    Attributes:
        tree: settings.
        root: of the stand-ins for ``/proc`` and ``/run``.
        answers: of commands, by the command.
        changes: of the host, in place of what :func:`this_host.look` says.
    """

    tree: Settings
    root: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.tree.state_dir

    @property
    def engine(self) -> Path:
        return self.root / "proc" / str(ENGINE_PID)

    @property
    def model(self) -> Path:
        return (self.state / "active").resolve()

    def set(self, section: str, **values: Any) -> None:
        """Change settings."""
        changed = getattr(self.tree, section).model_copy(update=values)
        self.tree = self.tree.model_copy(update={section: changed})

    def ask(self, command: Sequence[str]) -> Answer:
        words = " ".join(command)
        return next(
            (said for asked, said in self.answers.items() if words.startswith(asked)), Answer(problem="unasked")
        )

    def host(self) -> Host:
        looked = this_host.look(self.tree)
        usual = {
            "now": NOW, "ask": self.ask, "root": self.root, "site_packages": (self.root / "site",),
            "version_of": {"vllm": "0.32.0", "starlette": "1.0.1", "torch": "2.13.0+cpu"}.get,
        }  # fmt: skip
        return replace(looked, **{**usual, **self.changes})

    def results(self) -> dict[str, Result]:
        return evidence.complete(register.run(self.host()))

    def start_engine(self, *, without: str = "", more: tuple[str, ...] = (), **environment: str | None) -> None:
        """Let the stand-in for the engine run with its real launch line, but for what is named."""
        line = this_host.launch_line(self.tree)
        assert line.environment is not None
        argv = [word for word in line.argv if word != without] + list(more)
        values = {name: value for name, value in {**line.environment, **environment}.items() if value is not None}
        self.engine.mkdir(parents=True, exist_ok=True)
        (self.engine / "cmdline").write_text("".join(f"{word}\0" for word in argv))
        (self.engine / "environ").write_text("".join(f"{name}={value}\0" for name, value in values.items()))


def make(state: Path, root: Path) -> World:
    """A whole box.

    Args:
        state: its state directory.
        root: an empty directory for the rest.
    """
    key = signed.make_key(root / "builder")
    signed.make(state / "bundles" / "tiny-tutor-1.0.0", key)
    key.write(state / "trust")
    (state / "active").symlink_to("bundles/tiny-tutor-1.0.0")
    _close(state)
    tree = Settings(
        state_dir=state,
        gateway={
            "host": "192.168.0.5",
            "allowed_hosts": ["tutor.academy.kr"],
            "tls_certificate_path": root / "tls.pem",
            "tls_key_path": root / "tls.key",
        },
        network={"lan_subnets": ["192.168.0.0/24"], "admin_subnets": ["192.168.9.0/24"]},
        backup={"directory": root / "backups", "recipient": "age1" + "q" * 58},
    )
    world = World(tree, root)
    _records(world)
    _certificate(root)
    _machine(world)
    return world


def note(world: World, name: str, **values: Any) -> None:
    """A result as another program leaves it."""
    folder = world.state / "upkeep"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"format": 1, "at": NOW - 3600, "ok": True, **values}))


def tables(*others: tuple[str, str]) -> Answer:
    """What nft says of the tables: the appliance's, and others by family and name."""
    found = [("inet", "appliance"), *others]
    return Answer(
        json.dumps(
            {"nftables": [{"metainfo": {}}, *({"table": {"family": f, "name": n, "handle": 1}} for f, n in found)]}
        )
    )


def counters(engine: int = 0) -> Answer:
    """Of dropped packets."""
    named = {"engine": engine, "gateway": 0, "exporter": 0, "other": 3}
    listed = [{"counter": {"name": f"egress_dropped_{who}", "packets": n, "bytes": n * 60}} for who, n in named.items()]
    return Answer(json.dumps({"nftables": [{"metainfo": {}}, *listed]}))


def unit(name: str, **changes: str) -> Answer:
    """What systemctl shows of a unit that is as it was shipped."""
    values = {"LoadState": "loaded", "User": name.removesuffix(".service"), "PrivateNetwork": "yes"}
    values |= {name: allowed[0] for name, allowed in units._EVERYWHERE.items()} | changes
    return Answer("".join(f"{name}={value}\n" for name, value in values.items()))


def _records(world: World) -> None:
    KeyStore(world.state / "keys.sqlite3").create("homework", now=NOW)
    with closing(RecordStore(world.state / "records.sqlite3")) as store:
        store.append([Record("whole", int(NOW * 1000), f"r{n}", app="homework", method="POST") for n in range(9)])
    note(world, "backup.json", size_bytes=1000, last_success_at=NOW - 3600)
    note(world, "privacy-test.json", canaries_found=0)


def _certificate(root: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tutor.academy.kr")])
    start = dt.datetime.fromtimestamp(NOW, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start - dt.timedelta(days=1))
        .not_valid_after(start + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (root / "tls.pem").write_bytes(certificate.public_bytes(pem))
    (root / "tls.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (root / "tls.key").chmod(0o640)


def _machine(world: World) -> None:
    for pid, network in ((1, "net:[1]"), (ENGINE_PID, "net:[2]")):
        folder = world.root / "proc" / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "net").mkdir()
        (folder / "ns" / "net").symlink_to(network)
        (folder / "net" / "dev").write_text(DEVICES)
        (folder / "cmdline").write_text("/sbin/init\0")
        (folder / "limits").write_text("Max core file size        0                    0                    bytes\n")
    for name, text in {
        "proc/sys/kernel/core_pattern": "core\n",
        "run/systemd/system/x": "",
        "site/distutils-precedence.pth": "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, "
        "'local') == 'local'; enabled and __import__('_distutils_hack').add_shim(); ",
    }.items():
        (world.root / name).parent.mkdir(parents=True, exist_ok=True)
        (world.root / name).write_text(text)
    world.start_engine()
    world.answers = {
        NFT_LIST: Answer(this_host.look(world.tree).planned_rules),
        NFT_COUNTERS: counters(),
        NFT_TABLES: tables(),
        CLOCK: Answer("yes\n"),
        **{f"systemctl show {name}": unit(name) for name in units.UNITS},
    }


def _close(state: Path) -> None:
    """Modes as an installation leaves them."""
    for path in (state, *state.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
