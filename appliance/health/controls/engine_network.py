"""Has the engine a network? Asked of the kernel about the running process."""

from __future__ import annotations

from pathlib import Path

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.health.host import Host

_LOOPBACK = "lo"


def _network_of_the_host(host: Host) -> Path:
    """That of the first process; where it may not be looked at (a container), this process's own."""
    try:
        return (host.root / "proc/1/ns/net").readlink()
    except PermissionError:
        return (host.root / "proc/self/ns/net").readlink()


def private(host: Host) -> Result:
    """A namespace of its own with loopback alone (network_namespaces(7))."""
    engine = host.engine()
    if engine is None:
        return unknown("the engine does not run", "추론 엔진이 실행 중이 아님")
    try:
        theirs, ours = (engine.folder / "ns/net").readlink(), _network_of_the_host(host)
        table = (engine.folder / "net/dev").read_text(encoding="ascii")
    except OSError as err:
        reason = f"process {engine.pid}: {err.strerror}"
        return unknown(f"this user may not look at the engine ({reason})", f"추론 엔진을 확인할 권한이 없음 ({reason})")
    # proc(5): two lines of titles, then `name: numbers`.
    devices = sorted(line.partition(":")[0].strip() for line in table.splitlines()[2:])
    if theirs == ours:
        return failed("the engine is in the network of the host", "추론 엔진이 서버의 네트워크를 공유함")
    if devices != [_LOOPBACK]:
        return failed(
            f"its network has {', '.join(devices) or 'no device'}", f"네트워크 장치: {', '.join(devices) or '없음'}"
        )
    return passed(f"{theirs} has {_LOOPBACK} alone", f"{theirs}에는 {_LOOPBACK}만 있음")
