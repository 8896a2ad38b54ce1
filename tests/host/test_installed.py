"""The installed machine: what runs, who may what, what listens, what is let through."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from tests.host.client import Client
from tests.host.conftest import NAME, PORT, Installed, changes, failed_units, play
from tests.host.machine import ADDRESS, PEER_ADDRESS

SCORES = {"appliance-engine": 0.8, "appliance-gateway": 1.2, "appliance-exporter": 0.8}
UNITS = ("appliance-gateway", "nftables", "prometheus", "prometheus-alertmanager", "prometheus-node-exporter", "ssh")
TIMERS = ("appliance-upkeep.timer", "appliance-privacy-test.timer", "appliance-statement.timer")
#: What a kit without an engine does not run: its statement would be about an engine that cannot reach a network.
OF_AN_ENGINE = {"appliance-statement.timer"}
ACCOUNTS = ("gateway", "engine", "exporter", "upkeep", "backup", "privacy-test", "statement")
LISTENERS = {
    f"{ADDRESS}:{PORT}": "the gateway",
    f"{ADDRESS}:22": "ssh",
    "127.0.0.1:8081": "the gateway's admin listener",
    "127.0.0.1:9090": "Prometheus",
    "127.0.0.1:9093": "Alertmanager",
    "127.0.0.1:9100": "node exporter",
}
MODES = {
    "/etc/appliance": ("root", "appliance", 0o750),
    "/etc/appliance/appliance.toml": ("root", "appliance", 0o640),
    "/etc/appliance/credentials": ("root", "root", 0o700),
    "/etc/appliance/tls/server.key": ("root", "root", 0o600),
    "/etc/appliance/tls/ca.key": ("root", "root", 0o600),
    "/etc/nftables.conf": ("root", "root", 0o640),
    "/var/lib/appliance": ("appliance-gateway", "appliance-gateway", 0o751),
    "/var/lib/appliance/keys.sqlite3": ("appliance-gateway", "appliance-gateway", 0o640),
}
KERNEL = {
    "kernel.core_pattern": "|/bin/false",
    "fs.suid_dumpable": "0",
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
    "kernel.kptr_restrict": "2",
}
GOLDEN = Path(__file__).parent / "goldens" / "ruleset.nft"
#: Newer tools' words for what the golden file says in those of Debian 12: nftables of Debian 13.
NEWER_WORDS = {"tcp flags & (fin | syn | rst | ack) != syn": "tcp flags != syn / fin,syn,rst,ack"}
#: Run as the engine's user in its network: who can be reached from there?
REACH = """
import socket, sys
for family, kind, to in ((socket.AF_INET, socket.SOCK_STREAM, ('{peer}', 443)), (socket.AF_INET, socket.SOCK_DGRAM, ('{peer}', 53)),
        (socket.AF_INET6, socket.SOCK_STREAM, ('2001:db8::1', 443))):
    try:
        socket.socket(family, kind).connect(to)
        print('reached', to)
    except OSError as error:
        print(error.errno, to)
"""


def test_nothing_has_failed(installed: Installed) -> None:
    assert failed_units(installed.machine) == set()


@pytest.mark.parametrize("name", [*UNITS, *TIMERS])
def test_unit_runs_and_comes_back_by_itself(installed: Installed, name: str) -> None:
    if name in OF_AN_ENGINE and installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine")
    service = installed.host.service(name)
    assert service.is_running
    assert service.is_enabled


@pytest.mark.parametrize(("name", "most"), SCORES.items())
def test_unit_is_shut_in(installed: Installed, name: str, most: float) -> None:
    said = installed.machine.check("systemd-analyze", "security", "--no-pager", f"{name}.service")
    score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])
    assert score <= most


@pytest.mark.parametrize("name", ACCOUNTS)
def test_account_cannot_log_in(installed: Installed, name: str) -> None:
    account = installed.host.user(f"appliance-{name}")
    assert account.shell == "/usr/sbin/nologin"
    assert account.password in {"!", "!*", "*"}


@pytest.mark.parametrize("path", MODES)
def test_file_belongs_to_whom_it_should(installed: Installed, path: str) -> None:
    file = installed.host.file(path)
    assert (file.user, file.group, file.mode) == MODES[path]


def test_nothing_listens_but_what_is_planned(installed: Installed) -> None:
    lines = installed.machine.check("ss", "-Hltn").splitlines()
    assert {line.split()[3] for line in lines} == set(LISTENERS)
    assert installed.machine.check("ss", "-Hlun") == ""


def test_ruleset_is_the_golden_one(installed: Installed) -> None:
    loaded = installed.machine.check("nft", "--stateless", "list", "ruleset")
    for newer, words in NEWER_WORDS.items():
        loaded = loaded.replace(newer, words)
    # Which number an account has is up to what else is installed.
    accounts = {
        line.split(":")[2]: line.split(":")[0] for line in installed.machine.check("getent", "passwd").splitlines()
    }
    loaded = re.sub(r"(?<=skuid )\d+", lambda number: accounts[number[0]], loaded)
    assert loaded == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "value"), KERNEL.items())
def test_kernel_parameter_is_set_at_boot(installed: Installed, name: str, value: str) -> None:
    # A container has its host's kernel: what the file says is all that can be seen here.
    said = installed.host.file("/etc/sysctl.d/60-appliance.conf").content_string
    assert f"\n{name} = {value}\n" in said


def test_people_come_in_by_key_alone(installed: Installed) -> None:
    said = installed.machine.check("sshd", "-T").splitlines()
    assert {"passwordauthentication no", "permitrootlogin no", "kbdinteractiveauthentication no"} <= set(said)


def test_box_asks_no_name_server_and_no_mirror(installed: Installed) -> None:
    assert "nameserver" not in installed.host.file("/etc/resolv.conf").content_string
    assert "http" not in installed.machine.check(
        "sh", "-c", "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true"
    )


def test_certificate_is_by_a_ca_that_signs_for_this_box_alone(installed: Installed) -> None:
    tls = "/etc/appliance/tls"
    verify = ("openssl", "verify", "-x509_strict", "-CAfile", f"{tls}/ca.crt", f"{tls}/server.crt")
    assert "OK" in installed.machine.check(*verify)
    text = installed.machine.check("openssl", "x509", "-noout", "-text", "-in", f"{tls}/ca.crt")
    assert f"Permitted:\n                  DNS:{NAME}\n                  IP:{ADDRESS}/255.255.255.255" in text


def test_app_on_the_lan_is_answered_over_tls(installed: Installed, client: Client) -> None:
    if installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine")
    assert min(client.ask()) > 0


def test_engine_can_open_no_way_out(installed: Installed) -> None:
    if installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine")
    pid = installed.machine.check("systemctl", "show", "--property=MainPID", "--value", "appliance-engine").strip()
    inside = ("nsenter", "--target", pid, "--net")
    links = installed.machine.check(*inside, "ip", "-brief", "link").splitlines()
    assert [line.split()[0] for line in links] == ["lo"]
    program = REACH.format(peer=PEER_ADDRESS)
    engine = ("setpriv", "--reuid=appliance-engine", "--regid=appliance-engine", "--clear-groups")
    said = installed.machine.check(*inside, *engine, "python3", "-c", program).splitlines()
    assert [line.split()[0] for line in said] == [str(errno.ENETUNREACH)] * 3


def test_second_run_changes_nothing(installed: Installed) -> None:
    result = play(installed.machine)
    assert result.rc == 0
    assert changes(result) == []


def test_trial_run_changes_nothing_and_says_so(installed: Installed) -> None:
    result = play(installed.machine, "--check")
    assert result.rc == 0
    assert changes(result) == []
