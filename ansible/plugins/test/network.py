"""Tests of addresses and subnets for the playbook's refusals, with Python's own library."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any


def subnet(value: Any) -> bool:
    """Whether a value is a subnet of a building: ``192.168.10.0/24``, not an address in it, not the whole internet."""
    try:
        return isinstance(value, str) and "/" in value and ipaddress.ip_network(value).prefixlen > 0
    except ValueError:
        return False


def address(value: Any) -> bool:
    """Whether a value is an IP address."""
    try:
        return bool(isinstance(value, str) and ipaddress.ip_address(value))
    except ValueError:
        return False


def loopback(value: Any) -> bool:
    """Whether a value is an address of loopback, which no other machine reaches."""
    return address(value) and ipaddress.ip_address(value).is_loopback


def within(value: Any, subnets: Any) -> bool:
    """Whether an address lies in one of the subnets."""
    return address(value) and any(
        subnet(one) and ipaddress.ip_address(value) in ipaddress.ip_network(one) for one in subnets
    )


class TestModule:
    """What Ansible asks for."""

    def tests(self) -> dict[str, Callable[..., bool]]:
        """The tests by name, as in ``value is appliance_subnet``."""
        return {
            "appliance_subnet": subnet,
            "appliance_address": address,
            "appliance_loopback": loopback,
            "appliance_within": within,
        }
