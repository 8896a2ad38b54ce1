"""Who can reach the listeners, and how?"""

from __future__ import annotations

import ipaddress

from appliance.core import egress
from appliance.core.evidence import Result, failed, not_applicable, passed
from appliance.health import certificate
from appliance.health.controls import from_upkeep
from appliance.health.host import Host


def admin(host: Host) -> Result:
    """On loopback, on an address of the admin network, or off."""
    name = host.settings.gateway.admin_host
    if not name:
        return passed("it is switched off", "꺼져 있음")
    if egress.is_loopback(name):
        return passed(f"it is on {name}", f"{name}에서만 응답")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return failed(f"{name} is a name, which may mean any network", f"{name}: 이름은 어느 망인지 알 수 없음")
    subnets = host.settings.network.admin_subnets
    if any(address in ipaddress.ip_network(subnet) for subnet in subnets):
        return passed(f"{name} is in the admin network", f"{name}은(는) 관리망에 속함")
    return failed(
        f"{name} is neither loopback nor in network.admin_subnets",
        f"{name}은(는) loopback도 network.admin_subnets도 아님",
    )


def tls(host: Host) -> Result:
    """A certificate that is valid and not about to end."""
    path = host.settings.gateway.tls_certificate_path
    if path is not None:
        return from_upkeep.result(certificate.look({"server": path}, host.now), off_is_unknown=False)
    if egress.is_loopback(host.settings.gateway.host):
        return not_applicable(
            "the gateway is on loopback: no network carries its bytes", "게이트웨이가 loopback에만 있음"
        )
    return failed("gateway.tls_certificate_path is not set", "gateway.tls_certificate_path가 설정되지 않음")
