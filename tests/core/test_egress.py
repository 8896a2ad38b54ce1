"""The packet filter's text: equal to the goldens, and accepting nothing that was not set."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core import egress
from appliance.core.egress import Accounts, Traffic

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
#: An academy with one network, and one with two, IPv6, a time server and a mail relay.
SMALL = Traffic(lan_subnets=("192.168.0.0/24",), admin_subnets=("192.168.0.5/32",), admin_ports=(22,))
LARGE = Traffic(
    lan_subnets=("10.20.0.0/16", "10.20.4.0/24", "fd12:3456:789a:1::/64"),
    gateway_port=443,
    admin_subnets=("10.99.0.0/28",),
    admin_ports=(22, 3000),
    ntp_servers=("10.99.0.1", "10.99.0.2"),
    mail_relay="10.99.0.3",
    mail_relay_port=587,
    alert_receivers=("10.99.0.5:8443", "10.99.0.6:8443", "[fd12:3456:789a:2::7]:443"),
)
#: Where neighbour discovery sends, which no router forwards.
LINK_LOCAL = {ipaddress.ip_network(text) for text in ("fe80::/10", "ff02::/16", "ff02::16/128")}

ports = st.integers(1, 65535)
hosts = st.ip_addresses().filter(lambda a: not (a.is_loopback or a.is_multicast or a.is_unspecified)).map(str)


@st.composite
def subnets(draw: st.DrawFn) -> str:
    host = ipaddress.ip_address(draw(hosts))
    network = ipaddress.ip_network((host, draw(st.integers(8, host.max_prefixlen))), strict=False)
    return str(network) if not (network.is_loopback or network.is_multicast) else str(ipaddress.ip_network(host))


def receiver(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def receivers(traffic: Traffic) -> dict[str, int]:
    """Ports by address: of several of an address the last."""
    return {text.rpartition(":")[0].strip("[]"): int(text.rpartition(":")[2]) for text in traffic.alert_receivers}


traffics = st.builds(
    Traffic,
    lan_subnets=st.lists(subnets(), max_size=4).map(tuple),
    gateway_port=ports,
    admin_subnets=st.lists(subnets(), max_size=3).map(tuple),
    admin_ports=st.lists(ports, max_size=4, unique=True).map(tuple),
    ntp_servers=st.lists(hosts, max_size=2).map(tuple),
    mail_relay=st.none() | hosts,
    mail_relay_port=ports,
    alert_receivers=st.lists(st.builds(receiver, hosts, ports), max_size=3).map(tuple),
)


def chain(text: str, name: str) -> list[str]:
    """Rules of one chain, without its hook."""
    body = text.split(f"\tchain {name} {{\n", 1)[1].split("\n\t}", 1)[0]
    rules = [line.strip() for line in body.splitlines()]
    return [rule for rule in rules if rule and not rule.startswith(("#", "type filter"))]


def named(rule: str, side: str) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Networks that a rule asks for on a side (``saddr`` or ``daddr``)."""
    found = re.search(rf"ip6? {side} (\{{[^}}]*\}}|\S+)", rule)
    return {ipaddress.ip_network(item.strip()) for item in found[1].strip("{}").split(",")} if found else set()


def covered(network: object, by: set[str]) -> bool:
    nets = [ipaddress.ip_network(other) for other in by]
    same = ipaddress.collapse_addresses(net for net in nets if net.version == network.version)  # type: ignore[attr-defined, type-var]
    return any(network.subnet_of(other) for other in same)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "traffic"), [("egress-small.nft", SMALL), ("egress-large.nft", LARGE)])
def test_whole_ruleset_is_the_golden_file(name: str, traffic: Traffic) -> None:
    assert egress.ruleset(traffic) == (GOLDENS / name).read_text(encoding="utf-8")


@given(traffics)
def test_nothing_is_let_out_to_an_address_that_is_not_set(traffic: Traffic) -> None:
    text = egress.ruleset(traffic)
    relay = {traffic.mail_relay} if traffic.mail_relay else set()
    asked = {*traffic.ntp_servers, *relay, *receivers(traffic)}
    answered = {*traffic.lan_subnets, *traffic.admin_subnets}
    for name, allowed in (("output", asked), ("answers", answered)):
        for rule in chain(text, name):
            if not rule.endswith("accept") or rule == 'oif "lo" accept':
                continue
            networks = named(rule, "daddr")
            assert networks, rule
            discovers = "nd-neighbor" in rule or "mld2" in rule
            outside = [net for net in networks if not covered(net, allowed)]
            assert all(discovers and (net in LINK_LOCAL or covered(net, answered | asked)) for net in outside), rule


@given(traffics)
def test_nothing_new_is_let_in_from_an_address_that_is_not_set(traffic: Traffic) -> None:
    allowed = {*traffic.lan_subnets, *traffic.admin_subnets}
    relay = [traffic.mail_relay] if traffic.mail_relay else []
    answers = {*traffic.ntp_servers, *relay, *receivers(traffic)}
    for rule in chain(egress.ruleset(traffic), "input"):
        if not rule.endswith("accept") or rule == 'iif "lo" accept':
            continue
        if "ct state related" in rule or "nd-neighbor" in rule:
            assert rule.startswith(("icmp type", "icmpv6 type"))
            continue
        networks = named(rule, "saddr")
        assert networks, rule
        assert all(covered(net, answers if "ct direction reply" in rule else allowed) for net in networks), rule


@given(traffics)
def test_every_chain_drops_and_counts_what_is_left(traffic: Traffic) -> None:
    text = egress.ruleset(traffic)
    for name, counter in (
        ("input", "ingress_dropped"),
        ("forward", "ingress_dropped"),
        ("output", "egress_dropped_other"),
    ):
        assert chain(text, name)[-1] == f'counter name "{counter}" drop'
        assert f"hook {name} priority filter; policy drop;" in text


@given(traffics)
def test_no_rule_is_about_dns(traffic: Traffic) -> None:
    chosen = {traffic.gateway_port, *traffic.admin_ports, traffic.mail_relay_port}
    chosen |= {int(text.rpartition(":")[2]) for text in traffic.alert_receivers}
    if 53 not in chosen:
        assert not re.search(r"port (53\b|\{[^}]*\b53\b)", egress.ruleset(traffic))


def test_engine_is_dropped_before_anything_is_let_out() -> None:
    rules = chain(egress.ruleset(LARGE), "output")
    assert rules[0] == 'meta skuid "appliance-engine" counter name "egress_dropped_engine" drop'
    first_question = next(number for number, rule in enumerate(rules) if rule.endswith("accept"))
    for user in ("gateway", "exporter"):
        assert rules.index(f'meta skuid "appliance-{user}" counter name "egress_dropped_{user}" drop') < first_question


def test_digest_is_that_of_the_text_without_its_own_line() -> None:
    text = egress.ruleset(LARGE)
    found = re.search(r'^\tcomment "appliance rules ([0-9a-f]{64})"$', text, re.MULTILINE)
    assert found
    assert found[1] == egress.digest(text)
    assert egress.digest(text) != egress.digest(egress.ruleset(SMALL))
    assert egress.digest(text.replace("587", "25")) != egress.digest(text)


def test_accounts_are_those_that_are_named() -> None:
    text = egress.ruleset(SMALL, Accounts("a", "b", "c"))
    assert re.findall(r'meta skuid "(\w)"', text) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("192.168.1.5/24", "did you mean 192.168.1.0/24"),
        ("0.0.0.0/0", "whole internet"),
        ("::/0", "whole internet"),
        ("lan.example", "is no subnet"),
        ("192.168.1.0/33", "is no subnet"),
        ("127.0.0.0/8", "another machine"),
        ("224.0.0.0/4", "another machine"),
        ("10.0.0.0/8; accept", "is no subnet"),
    ],
)
def test_wrong_subnet_is_refused_with_what_is_wrong(wrong: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        egress.subnet(wrong)


@pytest.mark.parametrize("wrong", ["time.example", "10.0.0.0/8", "127.0.0.1", "0.0.0.0", "fe80::1%eth0", "1 accept"])
def test_server_that_is_no_address_of_another_machine_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"is no IP address|another machine|names an interface"):
        egress.address(wrong)


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("", True), ("localhost", True), ("10.0.0.1", False)]
)
def test_listener_on_loopback_is_told(host: str, loopback: bool) -> None:
    assert egress.is_loopback(host) is loopback


def test_drop_in_names_the_configured_subnets_and_the_gateways_own_address() -> None:
    text = egress.drop_in(LARGE, "10.20.0.7")
    assert [line for line in text.splitlines() if line.startswith("IPAddressAllow=")] == [
        "IPAddressAllow=10.20.0.0/16",
        "IPAddressAllow=10.20.0.7",
        "IPAddressAllow=10.20.4.0/24",
        "IPAddressAllow=10.99.0.0/28",
        "IPAddressAllow=fd12:3456:789a:1::/64",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "localhost"])
def test_drop_in_adds_no_address_where_the_gateway_listens_on_all_or_on_loopback(host: str) -> None:
    assert egress.drop_in(SMALL, host).count("IPAddressAllow=") == 2


def test_a_receiver_of_alerts_is_reached_on_its_port_and_answers_from_it() -> None:
    text = egress.ruleset(Traffic(alert_receivers=("10.99.0.5:8443", "[fd00::7]:443")))
    assert [rule for rule in chain(text, "output") if "tcp dport" in rule] == [
        "ip6 daddr fd00::7 tcp dport 443 accept",
        "ip daddr 10.99.0.5 tcp dport 8443 accept",
    ]
    assert "nd-neighbor-solicit" in text  # the one of IPv6 is found by it
    answers = [rule for rule in chain(text, "input") if "tcp sport" in rule]
    assert answers == [
        "ip6 saddr fd00::7 tcp sport 443 ct direction reply ct state established accept",
        "ip saddr 10.99.0.5 tcp sport 8443 ct direction reply ct state established accept",
    ]


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("10.99.0.5:8443", "10.99.0.5:8443"),
        ("[FD00:0::7]:0443", "[fd00::7]:443"),
        ("10.99.0.5:65535", "10.99.0.5:65535"),
    ],
)
def test_a_receiver_is_written_in_its_usual_form(text: str, usual: str) -> None:
    assert egress.receiver(text) == usual
    assert egress.receiver(usual) == usual


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.99.0.5", "no address with a port"),
        ("fd00::7:443", "no address with a port"),
        ("10.99.0.5:https", "no address with a port"),
        ("10.99.0.5:\u0664\u0664\u0663", "no address with a port"),
        ("10.99.0.5:0", "no port from 1"),
        ("10.99.0.5:65536", "no port from 1"),
        ("[10.99.0.5]:443", "for IPv6 addresses alone"),
        ("hooks.example:443", "names are not possible"),
        ("https://10.99.0.5:443", "no address with a port"),
        ("127.0.0.1:9094", "no address of another machine"),
        ("", "no address with a port"),
    ],
)
def test_what_is_no_receiver_is_refused_with_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        egress.receiver(text)
