"""The host's clock, and what a crash leaves behind."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.health.host import Host

#: Handlers that throw the memory away.
_SWALLOWING = ("false", "true")
_LIMIT = re.compile(r"Max core file size\s+(\S+)\s+(\S+)")
_COREDUMP = "etc/systemd/coredump.conf"


def clock(host: Host) -> Result:
    """Whether the kernel counts the clock as synchronised."""
    answer = host.ask(("timedatectl", "show", "--property=NTPSynchronized", "--value"))
    said = answer.text.strip()
    if said == "yes":
        return passed("the kernel says so", "커널이 동기화 상태로 표시")
    if said == "no":
        return failed("the kernel says that it is not", "커널이 동기화되지 않은 상태로 표시")
    return unknown(answer.problem or "timedatectl does not say", answer.problem or "timedatectl이 알려주지 않음")


def core_dumps(host: Host) -> Result:
    """The handler of core(5) throws them away, or no process of the appliance may write one."""
    try:
        pattern = (host.root / "proc/sys/kernel/core_pattern").read_text(encoding="utf-8").strip()
    except OSError as err:
        return unknown(f"core_pattern: {err.strerror}", f"core_pattern: {err.strerror}")
    if pattern.startswith("|"):  # to which limits do not apply
        return _handled(host, pattern[1:].split()[0] if pattern[1:].split() else "")
    processes = host.processes()
    if not processes:
        return unknown("no process of the appliance runs", "실행 중인 프로세스가 없음")
    odd = []
    for process in processes:
        try:
            limits = _LIMIT.search((process.folder / "limits").read_text(encoding="ascii"))
        except OSError:
            continue  # ended meanwhile
        if limits is None or limits[1] != "0":
            odd.append(f"{process.name} ({process.pid})")
    if odd:
        return failed(f"these may write one: {', '.join(odd)}", f"메모리 파일을 남길 수 있음: {', '.join(odd)}")
    return passed(f"none of {len(processes)} processes may write one", f"프로세스 {len(processes)}개 모두 남길 수 없음")


def _handled(host: Host, program: str) -> Result:
    name = Path(program).name
    if name in _SWALLOWING:
        return passed(f"they go to {program}", f"{program}(으)로 버려짐")
    if name == "systemd-coredump":
        texts = [file.read_text(encoding="utf-8") for file in _configuration(host)]
        stored = [found for text in texts for found in re.findall(r"^\s*Storage\s*=\s*(\w+)", text, re.MULTILINE)]
        if stored[-1:] == ["none"]:
            return passed("systemd-coredump keeps none", "systemd-coredump가 저장하지 않음")
    return failed(f"they go to {program}", f"{program}(으)로 저장됨")


def _configuration(host: Host) -> list[Path]:
    """In the order in which systemd reads them: later ones win."""
    main = host.root / _COREDUMP
    parts = sorted((host.root / f"{_COREDUMP}.d").glob("*.conf"))
    return [file for file in (main, *parts) if file.is_file()]
