"""The packet filter of a box: from what is allowed to the whole ruleset, as text for nft(8).

Everything is dropped, out and in, but what :class:`Traffic` names: answers of
the gateway to the LAN, answers of the admin ports to the admin network, and
questions to the time servers, the mail relay and the receivers of alerts that
are set. Each drop is
counted, outgoing ones by the user whose process it was. The engine's user may
send nothing at all, not even to this machine; gateway and exporter may answer
and never ask. There is no rule for DNS: every address is a number.

Every rule that accepts names its addresses in both directions, so a connection
that was open before the rules were loaded is no way around them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

TABLE = "inet appliance"
#: Names of the counters, by whose packet was dropped; that of incoming packets stands apart.
COUNTERS = {
    "engine": "egress_dropped_engine",
    "gateway": "egress_dropped_gateway",
    "exporter": "egress_dropped_exporter",
    "other": "egress_dropped_other",
}
INGRESS_COUNTER = "ingress_dropped"
#: Before the digest in the table's comment.
COMMENT = "appliance rules"
_NTP = 123
_PORT = re.compile(r"[0-9]{1,5}")
_LAST_PORT = 65535
_PLACEHOLDER = "@digest@"


@dataclass(frozen=True)
class Accounts:
    """Users that the rules tell apart, by name, as the units run them."""

    engine: str = "appliance-engine"
    gateway: str = "appliance-gateway"
    exporter: str = "appliance-exporter"


@dataclass(frozen=True)
class Traffic:
    """What is let through.

    Attributes:
        lan_subnets: who may reach the gateway, as :func:`subnet` writes them.
        gateway_port: TCP port of the gateway.
        admin_subnets: who may reach the admin ports, and get an answer to ping.
        admin_ports: TCP ports for them.
        ntp_servers: addresses of time servers, as :func:`address` writes them.
        mail_relay: address of the mail server.
        mail_relay_port: its TCP port.
        alert_receivers: further receivers of alerts, over TCP, as :func:`receiver` writes them.
    """

    lan_subnets: tuple[str, ...] = ()
    gateway_port: int = 8080
    admin_subnets: tuple[str, ...] = ()
    admin_ports: tuple[int, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    mail_relay: str | None = None
    mail_relay_port: int = 25
    alert_receivers: tuple[str, ...] = ()


def subnet(text: str) -> str:
    """A subnet in its usual form; a single address is one.

    Raises:
        ValueError: it is none, or the whole internet, or no place where a peer can be.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is no subnet; write one as 192.168.10.0/24") from None
        raise ValueError(f"{text!r} is an address within a subnet; did you mean {meant}?") from None
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} is the whole internet; name the subnets of the building")
    _refuse_special(text, network)
    return str(network)


def address(text: str) -> str:
    """An IP address of another machine in its usual form.

    Raises:
        ValueError: it is none: a name, say, which would need a name server.
    """
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address; names are not possible, the box asks no name server") from None
    if getattr(parsed, "scope_id", None):
        raise ValueError(f"{text!r} names an interface; write the address alone")
    _refuse_special(text, ipaddress.ip_network(parsed))
    return str(parsed)


def receiver(text: str) -> str:
    """An address and a TCP port of another machine in their usual form; IPv6 in brackets.

    Raises:
        ValueError: it is none.
    """
    host, _, port = text.rpartition(":")
    is_six = host.startswith("[") and host.endswith("]")
    if not host or not _PORT.fullmatch(port) or (":" in host and not is_six):
        raise ValueError(f"{text!r} is no address with a port; write one as 192.168.10.4:443 or [fd00::4]:443")
    if not 1 <= int(port) <= _LAST_PORT:
        raise ValueError(f"{text!r} has no port from 1 to {_LAST_PORT}")
    found = address(host[1:-1] if is_six else host)
    if is_six is not (":" in found):
        raise ValueError(f"{text!r} has brackets, which are for IPv6 addresses alone")
    return f"[{found}]:{int(port)}" if is_six else f"{found}:{int(port)}"


def is_loopback(host: str) -> bool:
    """Whether a listener on this host is reached from this machine alone; an empty host listens nowhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"}


def ruleset(traffic: Traffic, accounts: Accounts | None = None) -> str:
    """The whole ruleset, to be loaded by ``nft -f`` in one step: the old table goes as the new one comes.

    The table's comment is the SHA-256 of the rest of the text, so that what is
    loaded tells what it was made from.

    Args:
        traffic: what is let through.
        accounts: the users; by default those of the units.
    """
    text = "\n".join(_lines(traffic, accounts or Accounts())) + "\n"
    return text.replace(_PLACEHOLDER, _digest_without_comment(text))


def drop_in(traffic: Traffic, host: str) -> str:
    """A systemd drop-in for the units that the LAN talks to: their sockets take and send nothing elsewhere.

    Args:
        traffic: what is let through.
        host: where the gateway listens; its own address is asked for, too, by commands on the box.
    """
    places = {*traffic.lan_subnets, *traffic.admin_subnets}
    try:
        own = ipaddress.ip_address(host)
    except ValueError:
        own = None  # a name of this machine: loopback
    if own is not None and not own.is_unspecified and not own.is_loopback:
        places.add(str(own))
    networks = sorted(map(ipaddress.ip_network, places), key=lambda net: (net.version, net))
    return "\n".join(
        [
            "# Made from the settings by `appliance egress --drop-in`: change those, not this.",
            "[Service]",
            # The unit's own line has loopback.
            *(f"IPAddressAllow={_plain(network)}" for network in networks),
            "",
        ]
    )


def digest(text: str) -> str:
    """The SHA-256 of a ruleset's text without the line of the table's comment, in hex."""
    return _digest_without_comment(text)


def _digest_without_comment(text: str) -> str:
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith(f'\tcomment "{COMMENT} ')]
    return hashlib.sha256("".join(kept).encode()).hexdigest()


def _lines(traffic: Traffic, accounts: Accounts) -> Iterator[str]:
    yield "#!/usr/sbin/nft -f"
    yield "# Made from the settings by `appliance egress --print`: change those, not this."
    yield f"table {TABLE}"  # so that there is one to delete, the first time too
    yield f"delete table {TABLE}"
    yield f"table {TABLE} {{"
    yield f'\tcomment "{COMMENT} {_PLACEHOLDER}"'
    for counter in (*COUNTERS.values(), INGRESS_COUNTER):
        yield f"\tcounter {counter} {{"
        yield "\t}"
    yield from _chain("input", "type filter hook input priority filter; policy drop;", _input(traffic))
    yield from _chain("forward", "type filter hook forward priority filter; policy drop;", [_drop(INGRESS_COUNTER)])
    yield from _chain("output", "type filter hook output priority filter; policy drop;", _output(traffic, accounts))
    yield from _chain("answers", "", _answers(traffic))
    yield "}"


def _input(traffic: Traffic) -> Iterator[str]:
    yield 'iif "lo" accept'
    yield f"ct state invalid {_drop(INGRESS_COUNTER)}"
    yield f"tcp flags & (fin | syn | rst | ack) != syn ct state new {_drop(INGRESS_COUNTER)}"
    yield "# Apps to the gateway, people to ssh and the pages."
    for match in _each(traffic.lan_subnets, "saddr"):
        yield f"{match} tcp dport {traffic.gateway_port} accept"
    if traffic.admin_ports:
        for match in _each(traffic.admin_subnets, "saddr"):
            yield f"{match} tcp dport {_set(traffic.admin_ports)} accept"
    for match in _each(traffic.admin_subnets, "saddr"):
        echo = "icmpv6 type echo-request" if match.startswith("ip6") else "icmp type echo-request"
        yield f"{match} {echo} limit rate 10/second burst 20 packets accept"
    yield "# Answers to what this machine asked."
    for match in _each(traffic.ntp_servers, "saddr"):
        yield f"{match} udp sport {_NTP} ct direction reply ct state established accept"
    for match in _each(_relay(traffic), "saddr"):
        yield f"{match} tcp sport {traffic.mail_relay_port} ct direction reply ct state established accept"
    for port, places in _receivers(traffic).items():
        for match in _each(places, "saddr"):
            yield f"{match} tcp sport {port} ct direction reply ct state established accept"
    yield "# Errors on the way of what is allowed, such as a packet that is too big."
    yield "icmp type { destination-unreachable, time-exceeded, parameter-problem } ct state related accept"
    if _has_ipv6(traffic):
        yield (
            "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
            "ct state related accept"
        )
        yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept"
    yield _drop(INGRESS_COUNTER)


def _output(traffic: Traffic, accounts: Accounts) -> Iterator[str]:
    yield "# The engine talks through its Unix socket: whatever packet it sends is one too many."
    yield f'meta skuid "{accounts.engine}" {_drop(COUNTERS["engine"])}'
    yield "ct direction reply ct state established jump answers"
    yield "# These answer and never ask."
    yield f'meta skuid "{accounts.gateway}" {_drop(COUNTERS["gateway"])}'
    yield f'meta skuid "{accounts.exporter}" {_drop(COUNTERS["exporter"])}'
    yield 'oif "lo" accept'
    for match in _each(traffic.ntp_servers, "daddr"):
        yield f"{match} udp dport {_NTP} accept"
    for match in _each(_relay(traffic), "daddr"):
        yield f"{match} tcp dport {traffic.mail_relay_port} accept"
    for port, places in _receivers(traffic).items():
        for match in _each(places, "daddr"):
            yield f"{match} tcp dport {port} accept"
    if _has_ipv6(traffic):
        yield "# Neighbour discovery: IPv6 finds a peer on the same wire by this."
        reachable = _set(["fe80::/10", "ff02::/16", *(net for net in _networks(traffic) if ":" in net)])
        yield f"ip6 daddr {reachable} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit 255 accept"
        yield "ip6 daddr ff02::16 icmpv6 type mld2-listener-report accept"
    yield _drop(COUNTERS["other"])


def _answers(traffic: Traffic) -> Iterator[str]:
    yield 'oif "lo" accept'
    for match in _each(traffic.lan_subnets, "daddr"):
        yield f"{match} tcp sport {traffic.gateway_port} accept"
    for match in _each(traffic.admin_subnets, "daddr"):
        if traffic.admin_ports:
            yield f"{match} tcp sport {_set(traffic.admin_ports)} accept"
        echo = "icmpv6 type echo-reply" if match.startswith("ip6") else "icmp type echo-reply"
        yield f"{match} {echo} accept"


def _chain(name: str, hook: str, rules: Iterable[str]) -> Iterator[str]:
    yield ""
    yield f"\tchain {name} {{"
    if hook:
        yield f"\t\t{hook}"
    yield from (f"\t\t{rule}" for rule in rules)
    yield "\t}"


def _drop(counter: str) -> str:
    return f'counter name "{counter}" drop'


def _each(places: Iterable[str], side: str) -> Iterator[str]:
    """A match for the addresses of each family that has some: sets hold one family, and no two that overlap."""
    networks = [ipaddress.ip_network(place) for place in places]
    four = ipaddress.collapse_addresses(net for net in networks if isinstance(net, IPv4Network))
    six = ipaddress.collapse_addresses(net for net in networks if isinstance(net, IPv6Network))
    for keyword, found in (("ip", list(four)), ("ip6", list(six))):
        if found:
            yield f"{keyword} {side} {_set(_plain(net) for net in found)}"


def _plain(network: IPv4Network | IPv6Network) -> str:
    """As nft lists it: a single address has no prefix length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _set(items: Iterable[object]) -> str:
    """As nft lists it: what stands alone has no brackets."""
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else "{ " + ", ".join(texts) + " }"


def _relay(traffic: Traffic) -> tuple[str, ...]:
    return () if traffic.mail_relay is None else (traffic.mail_relay,)


def _receivers(traffic: Traffic) -> dict[int, list[str]]:
    """Addresses by port, in the order of ports."""
    found: dict[int, list[str]] = {}
    for text in traffic.alert_receivers:
        host, _, port = text.rpartition(":")
        found.setdefault(int(port), []).append(host.strip("[]"))
    return dict(sorted(found.items()))


def _networks(traffic: Traffic) -> list[str]:
    receivers = (place for places in _receivers(traffic).values() for place in places)
    return sorted({*traffic.lan_subnets, *traffic.admin_subnets, *traffic.ntp_servers, *_relay(traffic), *receivers})


def _has_ipv6(traffic: Traffic) -> bool:
    return any(":" in network for network in _networks(traffic))


def _refuse_special(text: str, network: IPv4Network | IPv6Network) -> None:
    if network.is_loopback or network.is_multicast or network.is_unspecified:
        raise ValueError(f"{text!r} is no address of another machine")


__all__ = [
    "COMMENT",
    "COUNTERS",
    "INGRESS_COUNTER",
    "TABLE",
    "Accounts",
    "Traffic",
    "address",
    "digest",
    "drop_in",
    "is_loopback",
    "receiver",
    "ruleset",
    "subnet",
]
