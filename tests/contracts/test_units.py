"""The systemd units: valid, as tight as planned, every relaxation explained, and in step with the settings."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from appliance.cli.main import app
from appliance.core import egress
from appliance.core.egress import Accounts
from appliance.gateway.server import OTHER_DESCRIPTORS
from appliance.settings import SYSTEM_FILE, ExporterSettings, GatewaySettings, Settings

UNITS = Path(__file__).resolve().parents[2] / "systemd"
PROGRAM = "/opt/appliance/venv/bin/appliance"
SERVICES = sorted(path.stem for path in UNITS.glob("*.service"))
DAEMONS = ("appliance-engine", "appliance-exporter", "appliance-gateway")
#: Highest exposure in tenths, as ``systemd-analyze security --threshold`` takes it. The first three are bars that
#: were set; the others are what was reached.
EXPOSURE = {
    "appliance-engine": 8,
    "appliance-gateway": 12,
    "appliance-exporter": 8,
    "appliance-backup": 7,
    "appliance-privacy-test": 21,
    "appliance-statement": 18,
    "appliance-upkeep": 13,
}
#: Every service says each of these; what is not this value is a relaxation. A pattern, for the whole value.
STRICT = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "DevicePolicy": "closed",
    "IPAddressDeny": "any",
    "KeyringMode": "private",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateIPC": "yes",
    "PrivateMounts": "yes",
    "PrivateNetwork": "yes",
    "PrivateTmp": "yes",
    "PrivateUsers": "yes",
    "ProcSubset": "pid",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "RestrictAddressFamilies": "none",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": r"@system-service|~@privileged @resources @mount @swap @reboot @module @raw-io @debug "
    r"@cpu-emulation @obsolete @clock @keyring io_uring_setup io_uring_enter io_uring_register userfaultfd process_madvise vmsplice",
}
#: Further directives that open something: each use is a relaxation.
OPENING = ("DeviceAllow", "IPAddressAllow", "ReadWritePaths", "SupplementaryGroups")
LIMITS = ("MemoryMax", "TasksMax", "LimitNOFILE", "LimitCORE")


@dataclass(frozen=True)
class Directive:
    """A line of a unit: its name and value, and the comment that stands directly above it or its equals."""

    name: str
    value: str
    comment: str

    @property
    def is_relaxed(self) -> bool:
        if self.name in OPENING:
            return self.value != ""
        return self.name in STRICT and re.fullmatch(STRICT[self.name], self.value) is None


def directives(path: Path) -> list[Directive]:
    found: list[Directive] = []
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif "=" in line:
            name, value = line.split("=", 1)
            text = " ".join(comment)
            # Lines of the same name directly below each other have one reason.
            if not comment and found and found[-1].name == name:
                text = found[-1].comment
            found.append(Directive(name, value, text))
            comment = []
        else:
            comment = []
    return found


def value(unit: str, name: str) -> str:
    (found,) = [line.value for line in directives(UNITS / unit) if line.name == name]
    return found


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(|s|min|h)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "s": 1, "min": 60, "h": 3600}[unit]


@pytest.fixture(scope="module")
def analyse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``systemd-analyze`` over copies whose program is there, and without the drop-ins beside the originals."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    version = int(subprocess.check_output([program, "--version"], text=True).split()[1])
    if version < 252:
        pytest.skip(f"systemd {version} does not know all that Debian 12's does")
    directory = tmp_path_factory.mktemp("units")
    for path in UNITS.glob("appliance*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8").replace(PROGRAM, sys.executable)
            (directory / path.name).write_text(text, encoding="utf-8")
    (directory / "nftables.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [str(directory / word) if word.startswith("appliance") else word for word in arguments]
        return subprocess.run(
            [program, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{directory}:", "LC_ALL": "C.UTF-8"},
        )

    return run


def test_every_unit_is_valid(analyse: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    names = [path.name for path in UNITS.glob("appliance*") if path.is_file()]
    done = analyse("verify", "--man=no", "--recursive-errors=no", *names)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_exposure_is_within_its_bar(analyse: Callable[..., subprocess.CompletedProcess[str]], service: str) -> None:
    done = analyse("security", "--offline=true", f"--threshold={EXPOSURE[service]}", f"{service}.service")
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if not line.startswith("✓"))


def test_threshold_is_one_that_can_be_missed(analyse: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert analyse("security", "--offline=true", "--threshold=5", "appliance-gateway.service").returncode != 0


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_says_each_directive(service: str) -> None:
    said = {line.name for line in directives(UNITS / f"{service}.service")}
    assert sorted({*STRICT, *LIMITS, "User", "Group", "UMask"} - said) == []


@pytest.mark.parametrize("path", sorted(UNITS.rglob("*.service")), ids=lambda path: path.stem)
def test_every_relaxed_directive_has_its_reason_directly_above_it(path: Path) -> None:
    lines = directives(path)
    bare = [line for line in lines if line.is_relaxed and "Relaxed: " not in line.comment]
    assert bare == []
    assert [line for line in lines if line.comment.startswith("Relaxed:") and not line.is_relaxed] == []
    reasons = path.read_text(encoding="utf-8").count("# Relaxed:")
    assert reasons == len({(line.name, line.comment) for line in lines if line.is_relaxed})


@pytest.mark.parametrize("service", SERVICES)
def test_every_command_and_option_exists(service: str) -> None:
    program, *words = shlex.split(value(f"{service}.service", "ExecStart"))
    assert program == PROGRAM
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("service", SERVICES)
def test_every_user_and_group_is_made(service: str) -> None:
    made = (UNITS / "sysusers.d" / "appliance.conf").read_text(encoding="utf-8")
    users = set(re.findall(r"^u (\S+) ", made, re.MULTILINE))
    groups = users | set(re.findall(r"^g (\S+) ", made, re.MULTILINE))
    lines = {line.name: line.value for line in directives(UNITS / f"{service}.service")}
    assert lines["User"] == service
    assert lines["User"] in users
    assert {lines["Group"], *lines.get("SupplementaryGroups", "").split()} <= groups
    # systemd drops memberships that the unit does not name, so both must say the same of the shared group.
    assert f"m {service} appliance" in made.splitlines()


def test_users_of_the_packet_filter_are_those_of_the_units() -> None:
    accounts = Accounts()
    assert [value(f"{service}.service", "User") for service in DAEMONS] == [
        accounts.engine,
        accounts.exporter,
        accounts.gateway,
    ]


@pytest.mark.parametrize("service", DAEMONS)
def test_daemon_is_watched_and_comes_back_for_ever(service: str) -> None:
    lines = {line.name: line.value for line in directives(UNITS / f"{service}.service")}
    assert (lines["Type"], lines["Restart"], lines["StartLimitIntervalSec"]) == ("notify", "always", "0")
    assert seconds(lines["WatchdogSec"]) <= 60
    assert "multi-user.target" in lines["WantedBy"].split()


def test_gateway_starts_without_the_engine_and_never_without_the_packet_filter() -> None:
    lines = {line.name: line.value for line in directives(UNITS / "appliance-gateway.service")}
    assert lines["Requires"] == "nftables.service"
    assert not any("appliance-engine" in lines.get(name, "") for name in ("Requires", "Wants", "BindsTo", "After"))


def test_timers_start_services_that_are_there() -> None:
    timers = {path.stem for path in UNITS.glob("*.timer")}
    assert timers == {"appliance-backup", "appliance-privacy-test", "appliance-statement", "appliance-upkeep"}
    assert timers <= set(SERVICES)


def test_paths_and_numbers_agree_with_the_settings() -> None:
    gateway, exporter = GatewaySettings(), ExporterSettings()
    state = Settings.model_fields["state_dir"].default
    engine = {line.name: line.value for line in directives(UNITS / "appliance-engine.service")}
    assert f"/var/lib/{engine['StateDirectory']}" == f"{state}/engine"
    assert f"/run/{engine['RuntimeDirectory']}" == "/run/appliance"
    assert value("appliance-gateway.service", "ReadWritePaths") == str(state)
    assert value("appliance-exporter.socket", "ListenStream") == f"{exporter.host}:{exporter.port}"
    files = int(value("appliance-gateway.service", "LimitNOFILE"))
    assert files >= gateway.max_connections * 3 // 2 + OTHER_DESCRIPTORS
    assert seconds(value("appliance-gateway.service", "TimeoutStopSec")) > gateway.shutdown_grace_seconds
    assert "APPLIANCE_GATEWAY__TLS_KEY_PATH=%d/tls-key" in value("appliance-gateway.service", "Environment")


def test_directories_that_units_write_are_made_at_every_start() -> None:
    made = {
        line.split()[1]: line.split()[2:5]
        for line in (UNITS / "tmpfiles.d" / "appliance.conf").read_text(encoding="utf-8").splitlines()
        if line.startswith("d ")
    }
    written = [
        path
        for service in SERVICES
        for line in directives(UNITS / f"{service}.service")
        if line.name == "ReadWritePaths"
        for path in line.value.split()
    ]
    assert [path for path in written if path not in made] == []
    assert made[str(SYSTEM_FILE.parent)] == ["0750", "root", "appliance"]
    # Others pass through to what is theirs and list nothing; keys and records are the gateway's.
    assert made["/var/lib/appliance"] == ["0751", "appliance-gateway", "appliance-gateway"]
    assert made["/var/lib/appliance/bundles"][1:] == ["root", "root"]
    assert made["/etc/appliance/credentials"] == ["0700", "root", "root"]


def test_secrets_are_handed_over_as_credentials_from_where_only_root_reads() -> None:
    loaded = {
        service: [line.value for line in directives(UNITS / f"{service}.service") if line.name == "LoadCredential"]
        for service in SERVICES
    }
    assert {service: found for service, found in loaded.items() if found} == {
        "appliance-gateway": ["tls-key:/etc/appliance/tls/server.key"],
        "appliance-privacy-test": ["privacy-test-key:/etc/appliance/credentials/privacy-test-key"],
    }


def test_engine_on_the_cpu_has_no_devices(
    analyse: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    # systemd-analyze reads the drop-ins beside a unit: here there is one.
    shutil.copytree(UNITS, tmp_path / "units")
    unit = tmp_path / "units" / "appliance-engine.service"
    done = analyse("security", "--offline=true", "--threshold=6", str(unit))
    assert done.returncode == 0, done.stdout
    assert "char-nvidia" not in done.stdout
    assert re.search(r"^✓ PrivateDevices=", done.stdout, re.MULTILINE)


def test_gateway_with_the_addresses_of_a_lan_is_within_its_bar(
    analyse: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    shutil.copy(UNITS / "appliance-gateway.service", tmp_path)
    drop_in = tmp_path / "appliance-gateway.service.d" / "network.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(egress.drop_in(egress.Traffic(lan_subnets=("192.168.0.0/24",)), "192.168.0.2"))
    unit = str(tmp_path / "appliance-gateway.service")
    done = analyse("security", "--offline=true", f"--threshold={EXPOSURE['appliance-gateway']}", unit)
    assert done.returncode == 0, done.stdout
    assert "non-localhost entries" in done.stdout
