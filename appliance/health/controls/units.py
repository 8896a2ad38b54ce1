"""Do the units run as they were shipped? Asked of systemd."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.core.evidence import Result, failed, not_applicable, passed, unknown
from appliance.health.host import Host

UNITS = ("appliance-gateway.service", "appliance-engine.service", "appliance-exporter.service")
_EVERYWHERE: Mapping[str, tuple[str, ...]] = {
    "NoNewPrivileges": ("yes",),
    "ProtectSystem": ("strict",),
    "ProtectHome": ("yes", "tmpfs"),
    "PrivateTmp": ("yes",),
    "ProtectKernelTunables": ("yes",),
    "ProtectKernelModules": ("yes",),
    "ProtectKernelLogs": ("yes",),
    "ProtectControlGroups": ("yes",),
    "RestrictSUIDSGID": ("yes",),
    "RestrictRealtime": ("yes",),
    "LockPersonality": ("yes",),
    "CapabilityBoundingSet": ("",),
}
_OF_ONE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "appliance-engine.service": {"PrivateNetwork": ("yes",)},
    "appliance-exporter.service": {"PrivateNetwork": ("yes",)},
}


def sandbox(host: Host) -> Result:
    """Each directive that the units ship with is in force."""

    def odd(unit: str, properties: Mapping[str, str]) -> list[str]:
        wanted = {**_EVERYWHERE, **_OF_ONE.get(unit, {})}
        return [
            f"{unit}: {name}={properties.get(name, '')}"
            for name, values in wanted.items()
            if properties.get(name, "no") not in values
        ]

    return _judge(
        host, (*_EVERYWHERE, "PrivateNetwork"), odd, ("every directive is in force", "모든 격리 설정이 적용됨")
    )


def users(host: Host) -> Result:
    """A user of its own for each."""
    seen: dict[str, str] = {}

    def odd(unit: str, properties: Mapping[str, str]) -> list[str]:
        user = properties.get("User", "")
        found = [f"{unit}: User={user or 'root'}"] if user in {"", "root", "0"} else []
        if user in seen:
            found.append(f"{unit} and {seen[user]} share the user {user}")
        seen.setdefault(user, unit)
        return found

    return _judge(host, ("User",), odd, ("each unit has a user of its own", "유닛마다 별도의 사용자"))


def _judge(
    host: Host,
    names: tuple[str, ...],
    odd: Callable[[str, Mapping[str, str]], list[str]],
    good: tuple[str, str],
) -> Result:
    if not host.is_booted_by_systemd():
        return not_applicable("this machine was not booted by systemd", "systemd로 부팅되지 않은 서버")
    found: list[str] = []
    for unit in UNITS:
        answer = host.ask(("systemctl", "show", unit, f"--property={','.join(('LoadState', *names))}"))
        if answer.problem:
            return unknown(answer.problem, answer.problem)
        properties = dict(line.partition("=")[::2] for line in answer.text.splitlines())
        if properties.get("LoadState") != "loaded":
            found.append(f"{unit} is {properties.get('LoadState', 'absent')}")
        else:
            found += odd(unit, properties)
    return failed("; ".join(found), "; ".join(found)) if found else passed(*good)
