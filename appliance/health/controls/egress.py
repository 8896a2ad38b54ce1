"""Is the packet filter the planned one, and did the engine's user try to send anything?

The second is asked of the running total: the kernel's counters begin at 0 with
each load of the rules.
"""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.core import egress, loaded_rules, nft_listing
from appliance.core.evidence import Outcome, Result, failed, passed, unknown
from appliance.health import drop_total
from appliance.health.host import Host
from appliance.health.upkeep_note import NoteUnreadable

_LIST = ("nft", "-s", "-u", "list", "table", *egress.TABLE.split())
_TABLES = ("nft", "-j", "list", "tables")
_COUNTERS = ("nft", "-j", "list", "counters", "table", *egress.TABLE.split())


def rules(host: Host) -> Result:
    """Compare the loaded rules with those made from the settings, rule by rule; no table but theirs may be loaded."""
    answer, tables = host.ask(_LIST), host.ask(_TABLES)
    if answer.problem or tables.problem:
        return _no_answer(answer.problem or tables.problem)
    odd = loaded_rules.difference(host.planned_rules, answer.text)
    if odd:
        return failed(f"the loaded rules differ, first at: {odd}", f"적용된 규칙이 다름, 첫 차이: {odd}")
    try:
        others = ", ".join(nft_listing.other_tables(tables.text))
    except ValueError as err:
        return unknown(f"nft's answer cannot be read: {err}", f"nft의 응답을 읽을 수 없음: {err}")
    if others:
        return failed(
            f"tables besides {egress.TABLE} are loaded: {others}; `nft list ruleset` shows what they do, find out who "
            "loaded them, then `systemctl reload nftables` takes them away",
            f"{egress.TABLE} 외의 테이블이 적용됨: {others}; `nft list ruleset`로 내용을 보고 누가 적용했는지 확인한 뒤 "
            "`systemctl reload nftables`로 제거하세요",
        )
    digest = egress.digest(host.planned_rules)
    return passed(
        f"every rule is the planned one and there is no other table, {digest[:16]}…",
        f"모든 규칙이 계획과 같고 다른 테이블이 없음, {digest[:16]}…",
    )


def engine_silent(host: Host) -> Result:
    """The engine has no way out and asks for none: one dropped packet of its user is one too many."""
    answer = host.ask(_COUNTERS)
    if answer.problem:
        return _no_answer(answer.problem)
    try:
        dropped = nft_listing.dropped(answer.text)
    except ValueError as err:
        return unknown(f"nft's answer cannot be read: {err}", f"nft의 응답을 읽을 수 없음: {err}")
    if "engine" not in dropped:
        return failed("there is no counter of the engine's packets", "추론 엔진 패킷의 계수기가 없음")
    try:
        total = drop_total.now(host.settings.upkeep_dir, dropped, host.now, host.up_seconds)
    except NoteUnreadable as err:
        return Result(Outcome.UNKNOWN, err.reason)
    count = total.dropped["engine"].packets
    if count:
        day = f"{datetime.fromtimestamp(total.since, UTC):%Y-%m-%d}"
        return failed(
            f"{count} packets of the engine's user were dropped, counted since {day}",
            f"추론 엔진 사용자의 패킷 {count}개가 차단됨 ({day}부터 집계)",
        )
    others = sum(one.packets for source, one in dropped.items() if source != "engine")
    return passed(f"none dropped; {others} of others", f"차단된 패킷 없음; 그 밖의 패킷 {others}개 차단")


def _no_answer(problem: str) -> Result:
    if "No such file" in problem or "not installed" in problem:
        return failed(
            f"no packet filter of the appliance is loaded ({problem})", f"방화벽 규칙이 적용되지 않음 ({problem})"
        )
    return unknown(f"the packet filter cannot be read ({problem})", f"방화벽 규칙을 읽을 수 없음 ({problem})")
