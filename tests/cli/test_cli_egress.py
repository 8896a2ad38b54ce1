"""``appliance egress``, and its rules in a real kernel: a box and a peer, each a network namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.core import egress, nft_listing

PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
BOX, LAN, ADMIN, NTP, STRANGER = "10.77.0.1", "10.77.0.2", "10.77.0.9", "10.77.0.123", "10.77.0.66"
RECEIVER = "10.77.0.44"
USERS = {"appliance-engine": 64001, "appliance-gateway": 64002, "appliance-exporter": 64003}
SETTINGS = {
    "APPLIANCE_NETWORK__LAN_SUBNETS": f'["{LAN}/32"]',
    "APPLIANCE_NETWORK__ADMIN_SUBNETS": f'["{ADMIN}/32"]',
    "APPLIANCE_NETWORK__ADMIN_PORTS": "[22]",
    "APPLIANCE_NETWORK__NTP_SERVERS": f'["{NTP}"]',
    "APPLIANCE_NETWORK__ALERT_RECEIVERS": f'["{RECEIVER}:9999"]',
    "APPLIANCE_GATEWAY__ADMIN_PORT": "8081",
}
#: As a user: reach a port from an address, send a datagram, or answer every connection with one line.
PROGRAM = """
import encodings.idna, os, socket, sys  # what a user without rights could not read later
uid, verb, source, target, port = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
if verb == "serve":
    listeners = [socket.create_server((target, number)) for number in (port, 22, 9999)]
    files = [listener.fileno() for listener in listeners]
if uid:
    os.setgid(uid)
    os.setuid(uid)
if verb == "serve":
    import select
    print("serving", flush=True)
    while True:
        for ready in select.select(listeners, [], [])[0]:
            with ready.accept()[0] as connection:
                connection.sendall(b"here")
elif verb == "reach":
    try:
        with socket.create_connection((target, port), 1.0, (source, 0)) as connection:
            connection.settimeout(1.0)
            print("reached" if connection.recv(4) == b"here" else "nothing")
    except OSError as err:
        print("not reached", type(err).__name__)
else:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"question", (target, port))
            print("sent")
        except OSError as err:
            print("not sent", type(err).__name__)
"""


def why_not() -> str:
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("nft", "ip", "unshare", "mount") if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    tried = subprocess.run(["unshare", "-n", "nft", "list", "ruleset"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this kernel gives no network namespace with nftables"


class Namespaces:
    """A box and a peer on one wire."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        tag = uuid.uuid4().hex[:6]
        self.box, self.peer = f"box-{tag}", f"peer-{tag}"
        self.serving: list[subprocess.Popen[str]] = []
        passwd = Path("/etc/passwd").read_text()
        self.passwd = directory / "passwd"
        self.passwd.write_text(passwd + "".join(f"{name}:x:{uid}:{uid}::/:/bin/false\n" for name, uid in USERS.items()))
        for name in (self.box, self.peer):
            self._ip("netns", "add", name)
            # As on a box without IPv6: else the kernel's own neighbour discovery is counted, too.
            for which in ("all", "default"):
                setting = f"echo 1 > /proc/sys/net/ipv6/conf/{which}/disable_ipv6"
                self._ip("netns", "exec", name, "sh", "-c", setting)
            self._ip("-n", name, "link", "set", "lo", "up")
        self._ip("link", "add", f"b{tag}", "netns", self.box, "type", "veth", "peer", f"p{tag}", "netns", self.peer)
        self._ip("-n", self.box, "addr", "add", f"{BOX}/24", "dev", f"b{tag}")
        for address in (LAN, ADMIN, NTP, STRANGER, RECEIVER):
            self._ip("-n", self.peer, "addr", "add", f"{address}/24", "dev", f"p{tag}")
        self._ip("-n", self.box, "link", "set", f"b{tag}", "up")
        self._ip("-n", self.peer, "link", "set", f"p{tag}", "up")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def run(self, namespace: str, verb: str, target: str, port: int, uid: int = 0, source: str = "") -> str:
        words = [sys.executable, "-I", "-c", PROGRAM, str(uid), verb, source, target, str(port)]
        return subprocess.check_output(["ip", "netns", "exec", namespace, *words], text=True, timeout=30).strip()

    def serve(self, namespace: str, address: str, uid: int = 0) -> None:
        words = [sys.executable, "-I", "-c", PROGRAM, str(uid), "serve", "", address, "8080"]
        process = subprocess.Popen(["ip", "netns", "exec", namespace, *words], stdout=subprocess.PIPE, text=True)
        self.serving.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"

    def appliance(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``appliance egress`` in the box's namespace, where its accounts exist."""
        script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
        words = [sys.executable, "-m", "appliance", "egress", "--state-dir", str(self.directory / "state"), *options]
        return subprocess.run(
            ["ip", "netns", "exec", self.box, "unshare", "-m", "sh", "-c", script, "sh", str(self.passwd), *words],
            env={**os.environ, **SETTINGS, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def nft(self, *words: str) -> str:
        return subprocess.check_output(["ip", "netns", "exec", self.box, "nft", *words], text=True)

    def dropped(self) -> dict[str, int]:
        """Packets by counter."""
        entries = json.loads(self.nft("-j", "list", "counters", "table", "inet", "appliance"))["nftables"]
        return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in entries if "counter" in entry}

    def close(self) -> None:
        for process in self.serving:
            process.kill()
            process.communicate()
        for name in (self.box, self.peer):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespaces]:
    """With the rules loaded; what the box had open to the peer before is still open."""
    if reason := why_not():
        pytest.skip(reason)
    # Each module's test has the settings of nobody; so has this fixture, which is made before.
    made = Namespaces(tmp_path_factory.mktemp("egress"))
    try:
        made.serve(made.box, "0.0.0.0", USERS["appliance-gateway"])
        made.serve(made.peer, "0.0.0.0")
        assert made.run(made.box, "reach", LAN, 9999) == "reached"  # before
        done = made.appliance("--check", "--apply")
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        made.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ("source", "port", "outcome"),
    [(LAN, 8080, "reached"), (ADMIN, 22, "reached"), (LAN, 22, "not"), (ADMIN, 8080, "not"), (STRANGER, 8080, "not")],
)
def test_who_is_set_reaches_what_is_set_for_them_and_nothing_else(
    network: Namespaces, source: str, port: int, outcome: str
) -> None:
    before = network.dropped()["ingress_dropped"]
    assert network.run(network.peer, "reach", BOX, port, source=source).split()[0] == outcome
    assert (network.dropped()["ingress_dropped"] > before) is (outcome == "not")


@pytest.mark.process
@pytest.mark.parametrize("user", ["engine", "gateway", "exporter", "other"])
def test_nobody_reaches_out_and_each_try_is_counted_by_its_user(network: Namespaces, user: str) -> None:
    before = network.dropped()
    assert network.run(network.box, "reach", LAN, 9999, USERS.get(f"appliance-{user}", 0)).startswith("not reached")
    after = network.dropped()
    assert [name for name in after if after[name] > before[name]] == [f"egress_dropped_{user}"]


@pytest.mark.process
def test_this_machine_is_reached_by_others_but_not_by_the_engine(network: Namespaces) -> None:
    assert network.run(network.box, "reach", "127.0.0.1", 8080) == "reached"
    before = network.dropped()["egress_dropped_engine"]
    tried = network.run(network.box, "reach", "127.0.0.1", 8080, USERS["appliance-engine"])
    assert tried.startswith("not reached")
    assert network.dropped()["egress_dropped_engine"] > before


@pytest.mark.process
def test_gateway_may_answer_this_machine_and_ask_nobody_on_it(network: Namespaces) -> None:
    before = network.dropped()["egress_dropped_gateway"]
    tried = network.run(network.box, "reach", "127.0.0.1", 22, USERS["appliance-gateway"])
    assert tried.startswith("not reached")
    assert network.dropped()["egress_dropped_gateway"] > before


@pytest.mark.process
def test_name_servers_are_asked_nothing_and_the_time_server_is(network: Namespaces) -> None:
    before = network.dropped()["egress_dropped_other"]
    assert network.run(network.box, "send", LAN, 53) == "not sent PermissionError"
    assert network.run(network.box, "send", NTP, 53) == "not sent PermissionError"
    assert network.dropped()["egress_dropped_other"] == before + 2
    assert network.run(network.box, "send", NTP, 123) == "sent"
    assert network.run(network.box, "send", LAN, 123) == "not sent PermissionError"


@pytest.mark.process
def test_a_receiver_of_alerts_is_reached_on_its_port_alone(network: Namespaces) -> None:
    assert network.run(network.box, "reach", RECEIVER, 9999) == "reached"
    before = network.dropped()
    assert network.run(network.box, "reach", RECEIVER, 22).startswith("not reached")
    assert network.run(network.box, "reach", RECEIVER, 9999, USERS["appliance-gateway"]).startswith("not reached")
    after = network.dropped()
    assert [name for name in after if after[name] > before[name]] == ["egress_dropped_gateway", "egress_dropped_other"]


@pytest.mark.process
def test_what_is_loaded_is_what_upkeep_looks_for(network: Namespaces) -> None:
    listing = network.nft("-t", "list", "table", "inet", "appliance")
    note = json.loads((network.directory / "state" / "upkeep" / "egress.json").read_text())
    assert nft_listing.loaded_rules(listing) == note["rules_sha256"]
    assert set(nft_listing.dropped(network.nft("-j", "list", "counters", "table", "inet", "appliance"))) == set(
        egress.COUNTERS
    )


@pytest.mark.process
def test_second_time_loads_nothing_and_keeps_the_counts_and_a_rule_by_hand_goes(network: Namespaces) -> None:
    network.run(network.box, "send", LAN, 53)
    before = network.dropped()
    assert before["egress_dropped_other"] > 0
    assert "is loaded already" in network.appliance("--apply").stderr
    assert network.dropped() == before
    network.nft("insert", "rule", "inet", "appliance", "output", "accept")
    assert network.appliance("--apply").stderr.endswith("is loaded.\n")
    assert network.dropped()["egress_dropped_other"] == 0
    total = json.loads((network.directory / "state" / "upkeep" / "egress-total.json").read_text())
    assert total["dropped"]["other"]["packets"] == before["egress_dropped_other"]  # which the load has ended
    assert total["begun_anew"] == 1
    assert network.run(network.box, "send", LAN, 53) == "not sent PermissionError"


@pytest.mark.process
def test_tables_of_somebody_else_are_named_and_left_and_end_it_as_failed(network: Namespaces) -> None:
    device = "b" + network.box.removeprefix("box-")
    chain = f"{{ type filter hook ingress device {device} priority 0; dup to {device}; }}"
    network.nft("table netdev leak", "{", "chain in", chain, "; }")
    network.nft("add", "table", "ip", "nat")
    try:
        for said in ("loaded already", "is loaded.\n"):
            done = network.appliance("--apply")
            assert done.returncode == 71
            assert said in done.stderr
            assert "ip nat, netdev leak" in done.stderr
            assert "`nft delete table netdev leak`" in done.stderr
            network.nft("insert", "rule", "inet", "appliance", "output", "accept")  # which the second time takes away
        assert "table netdev leak" in network.nft("list", "tables")
    finally:
        network.nft("delete", "table", "netdev", "leak")
        network.nft("delete", "table", "ip", "nat")
    assert network.appliance("--apply").returncode == 0
    # The installation's own stands for the time of loading.
    network.nft("add", "table", "inet", "appliance_open")
    try:
        assert network.appliance("--apply").returncode == 0
    finally:
        network.nft("delete", "table", "inet", "appliance_open")


@pytest.mark.process
def test_nothing_is_loaded_that_would_lock_everybody_out(network: Namespaces) -> None:
    before = network.nft("-s", "list", "ruleset")
    done = network.appliance("--apply", APPLIANCE_NETWORK__ADMIN_SUBNETS="[]")
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
    assert "network.admin_subnets is empty" in done.stderr
    assert network.nft("-s", "list", "ruleset") == before


@pytest.mark.process
def test_connection_that_was_open_before_is_no_way_out(tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(reason)
    made = Namespaces(tmp_path)
    program = (
        "import socket, sys\n"
        f"with socket.create_connection(('{LAN}', 7777)) as line:\n"
        "    print('open', flush=True)\n    sys.stdin.readline()\n    line.sendall(b'secret')\n"
    )
    listen = (
        f"import socket\nwith socket.create_server(('{LAN}', 7777)) as server:\n    print('on', flush=True)\n"
        "    line = server.accept()[0]\n    line.settimeout(3)\n"
        "    try:\n        print(line.recv(9))\n    except TimeoutError:\n        print('nothing came')\n"
    )
    run = ["ip", "netns", "exec"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    server = subprocess.Popen([*run, made.peer, sys.executable, "-Ic", listen], **pipes)  # type: ignore[call-overload]
    try:
        assert server.stdout.readline() == "on\n"
        client = subprocess.Popen([*run, made.box, sys.executable, "-Ic", program], **pipes)  # type: ignore[call-overload]
        assert client.stdout.readline() == "open\n"
        text = egress.ruleset(egress.Traffic(lan_subnets=("10.77.0.0/24",)), egress.Accounts("games", "news", "mail"))
        subprocess.run([*run, made.box, "nft", "-f", "-"], input=text, text=True, check=True)
        client.communicate("go\n", timeout=20)
        assert server.stdout.read() == "nothing came\n"
        assert made.dropped()["egress_dropped_other"] > 0
    finally:
        server.kill()
        server.communicate()
        made.close()


@pytest.mark.process
def test_whole_ruleset_in_the_kernel_is_the_text(network: Namespaces) -> None:
    printed = network.appliance("--print").stdout
    rules = [line.strip() for line in printed.splitlines() if line.strip().endswith(("accept", "drop", "answers"))]
    listed = network.nft("-s", "list", "table", "inet", "appliance")
    for name, uid in USERS.items():
        listed = listed.replace(f"meta skuid {uid} ", f'meta skuid "{name}" ')
    listed = listed.replace("tcp flags != syn / fin,syn,rst,ack", "tcp flags & (fin | syn | rst | ack) != syn")
    found = [line.strip() for line in listed.splitlines() if line.strip().endswith(("accept", "drop", "answers"))]
    assert found == rules


def test_without_options_the_ruleset_is_printed(state_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "egress", "--state-dir", str(state_dir)],
        env={**os.environ, "APPLIANCE_NETWORK__LAN_SUBNETS": '["10.0.0.0/24"]', "APPLIANCE_GATEWAY__PORT": "443"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == egress.ruleset(egress.Traffic(("10.0.0.0/24",), 443, admin_ports=(22,)))


def test_wrong_subnet_is_one_line_with_what_is_meant(state_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "egress", "--state-dir", str(state_dir)],
        env={**os.environ, "APPLIANCE_NETWORK__LAN_SUBNETS": '["192.168.0.7/24"]'},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
    assert "network.lan_subnets" in done.stderr
    assert "192.168.0.0/24" in done.stderr
