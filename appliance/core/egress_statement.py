"""The daily statement that nothing left the box, as JSON: what the counters, the rules and the privacy test say.

Each statement names the SHA-256 of the one before, so that a day left out
shows. It is signed as the bytes of its file are; the form here says what is in
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from appliance.core.drop_total import Total
from appliance.core.evidence import Outcome, Result
from appliance.core.nft_listing import Dropped
from appliance.core.upkeep import Text

FORMAT = 1
KIND = "appliance egress statement"
_NAME = re.compile(r"egress-\d{4}-\d{2}-\d{2}\.json")
#: What the statement rests on, by control.
KEYS = ("egress.rules", "egress.engine_silent", "engine.network", "egress.privacy_test")


@dataclass(frozen=True)
class Earlier:
    """What the statement before counted.

    Attributes:
        counters: of the kernel, packets by source; empty where they are of another boot.
        totals: packets by source.
        total_since: when that total was begun, Unix seconds; None where it had none.
        begun_anew: how often the counters had begun anew in it.
    """

    counters: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    total_since: float | None = None
    begun_anew: int = 0


@dataclass(frozen=True)
class Statement:
    """One day's statement.

    Attributes:
        at: Unix seconds.
        host: name of the box.
        machine_key: fingerprint of the key that signs.
        rules_sha256: of the planned packet filter.
        results: of the controls in :data:`KEYS`.
        dropped: counters since the rules were loaded, by whose packets; empty where they cannot be read.
        boot: id of the running boot: counters begin anew with each.
        total: running total of the counters, which a new load of the rules does not end; None where there is none.
        before: SHA-256 of the statement before; empty for the first.
        earlier: what that one counted.
    """

    at: float
    host: str
    machine_key: str
    rules_sha256: str
    results: Mapping[str, Result]
    dropped: Mapping[str, Dropped]
    boot: str
    total: Total | None = None
    before: str = ""
    earlier: Earlier = Earlier()

    @property
    def holds(self) -> bool:
        """Whether every control it rests on passes."""
        return all(result.outcome is Outcome.PASS for result in self.results.values())

    @property
    def began_anew(self) -> bool:
        """Whether the counters began at 0 since the statement before: its rules were loaded, or the box started."""
        if self.total is not None and self.earlier.total_since == self.total.since:
            return self.total.begun_anew > self.earlier.begun_anew
        return any(one.packets < self.earlier.counters.get(source, 0) for source, one in self.dropped.items())

    def since_before(self, source: str) -> int:
        """Packets dropped since the statement before; since the rules were loaded where they were loaded anew."""
        if self.total is not None and self.earlier.total_since == self.total.since:
            return self.total.dropped[source].packets - self.earlier.totals.get(source, 0)
        now, then = self.dropped[source].packets, self.earlier.counters.get(source, 0)
        return now - then if now >= then else now


def file_name(at: float) -> str:
    """The name of a day's statement (UTC)."""
    return f"egress-{datetime.fromtimestamp(at, UTC):%Y-%m-%d}.json"


def latest(names: list[str]) -> str | None:
    """The newest statement among the names of a directory."""
    return max((name for name in names if _NAME.fullmatch(name)), default=None)


def render(statement: Statement) -> bytes:
    """The text of the file that is signed."""
    total = statement.total
    values = {
        "format": FORMAT,
        "kind": KIND,
        "at": int(statement.at),
        "date": f"{datetime.fromtimestamp(statement.at, UTC):%Y-%m-%d}",
        "host": statement.host,
        "machine_key": statement.machine_key,
        "boot": statement.boot,
        "before_sha256": statement.before,
        "rules_sha256": statement.rules_sha256,
        "holds": statement.holds,
        "statement": text(statement)._asdict(),
        "controls": {
            key: {"result": result.outcome.value, "reason": result.reason._asdict()}
            for key, result in statement.results.items()
        },
        "dropped": {
            source: {
                "packets": one.packets,
                "bytes": one.bytes,
                "packets_in_all": total.dropped[source].packets if total else None,
                "packets_since_the_statement_before": statement.since_before(source),
            }
            for source, one in statement.dropped.items()
        },
        "counters_began_anew": statement.began_anew,
        "total": {"since": total.since, "begun_anew": total.begun_anew} if total else None,
    }
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def parse(content: bytes) -> dict[str, Any]:
    """A statement's values; raises ValueError where it is none."""
    values = json.loads(content)
    if not isinstance(values, dict) or (values.get("format"), values.get("kind")) != (FORMAT, KIND):
        raise ValueError("it is no egress statement")
    return values


def earlier(values: Mapping[str, Any], boot: str) -> Earlier:
    """What the statement before counted; nothing where it does not say.

    Args:
        values: of that statement.
        boot: id of the running boot.
    """
    dropped, total = values.get("dropped"), values.get("total")
    try:
        counters = _numbers(dropped, "packets") if values.get("boot") == boot else {}
        if total is None:  # a statement of an earlier version has none
            return Earlier(counters)
        return Earlier(counters, _numbers(dropped, "packets_in_all"), float(total["since"]), int(total["begun_anew"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return Earlier()


def _numbers(dropped: Any, name: str) -> dict[str, int]:
    return {str(source): int(one[name]) for source, one in dropped.items()}


def text(statement: Statement) -> Text:
    """What the statement says, in both languages."""
    said = _said(statement)
    if not statement.began_anew:
        return said
    return Text(
        f"{said.english} Since the statement before the packet filter was loaded anew or the box was started: its "
        "counters began at 0, the total goes on.",
        f"{said.korean} 이전 확인서 이후 방화벽 규칙이 다시 적용되었거나 서버가 다시 시작되어 계수기가 0부터 다시 시작했으며, 누계는 "
        "이어집니다.",
    )


def _said(statement: Statement) -> Text:
    day = f"{datetime.fromtimestamp(statement.at, UTC):%Y-%m-%d %H:%M UTC}"
    if statement.holds:
        return Text(
            f"At {day} the packet filter of {statement.host} was the one made from its settings, which lets nothing out "
            "but answers to the networks they name; the engine had no network and tried to send nothing; the last "
            "privacy test found no planted word.",
            f"{day} 현재 {statement.host}의 방화벽 규칙은 설정에서 만든 규칙과 같으며, 설정된 내부망에 대한 응답 외에는 아무것도 "
            "내보내지 않습니다. 추론 엔진에는 네트워크가 없고 외부 전송을 시도하지 않았으며, 최근 개인정보 시험에서 시험용 "
            "단어가 발견되지 않았습니다.",
        )
    odd = ", ".join(key for key, result in statement.results.items() if result.outcome is not Outcome.PASS)
    return Text(
        f"At {day} it cannot be stated that nothing leaves {statement.host}: {odd}.",
        f"{day} 현재 {statement.host}에서 외부 전송이 없다고 확인할 수 없습니다: {odd}.",
    )
