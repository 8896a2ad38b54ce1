"""What the facts that upkeep reads mean: for a person in English and Korean, and for Prometheus.

How old is too old stands here; alerts have thresholds of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from appliance.core.clock_log import Measured
from appliance.core.nft_listing import Dropped
from appliance.core.upkeep import Check, Finding, Outcome, Sample, State, Text
from appliance.core.upkeep_note import Note

_HOUR = 3600.0
_DAY = 86_400.0
CERTIFICATE_SOON_SECONDS = 30 * _DAY
#: Both run once a day; half a day is left for one that runs long.
BACKUP_OLD_SECONDS = 36 * _HOUR
PRIVACY_TEST_OLD_SECONDS = 36 * _HOUR
#: As the alert ClockSkew has it.
CLOCK_OFF_SECONDS = 0.05
#: chrony asks a source every 17 minutes at the least (maxpoll 10 of chrony.conf(5)).
CLOCK_OLD_SECONDS = 2 * _HOUR

SUBJECTS: dict[Check, Text] = {
    "audit": Text("audit", "감사 기록"),
    "backup": Text("backup", "백업"),
    "certificate": Text("certificate", "인증서"),
    "clock": Text("clock", "시각"),
    "egress": Text("egress filter", "외부 전송 차단"),
    "privacy_test": Text("privacy test", "개인정보 시험"),
}
_CERTIFICATE_SUBJECTS = {
    "server": Text("server certificate", "서버 인증서"),
    "ca": Text("CA certificate", "CA 인증서"),
}
_CERTIFICATE_SETTINGS = {"server": "gateway.tls_certificate_path", "ca": "upkeep.ca_certificate_path"}
_RENEW = Text("Replace it, and reload what serves it.", "인증서를 새로 교체하고 서비스를 다시 불러오세요.")
_LOAD_RULES = Text(
    "Run `systemctl reload nftables`; if the line stays, run the installation again.",
    "`systemctl reload nftables`를 실행하고, 그래도 같으면 설치 작업을 다시 실행하세요.",
)
_SOMEBODYS_TABLES = Text(
    "`nft list ruleset` shows what they do; find out who loaded them, then `systemctl reload nftables` takes them away.",
    "`nft list ruleset`로 내용을 보고 누가 적용했는지 확인한 뒤 `systemctl reload nftables`로 제거하세요.",
)
_CLOCK = Text(
    "Run `chronyc tracking` and `chronyc sources` as root; time servers are named in the inventory (docs/upkeep.md).",
    "root로 `chronyc tracking`과 `chronyc sources`를 실행하세요. 시간 서버는 인벤토리에서 정합니다 (docs/upkeep.md).",
)
_RUN_PRIVACY_TEST = Text(
    "Run `appliance privacy-test`. By the clock it needs /etc/appliance/credentials/privacy-test-key: if that is missing, "
    "run the installation again.",
    "`appliance privacy-test`를 실행하세요. 자동 실행에는 /etc/appliance/credentials/privacy-test-key가 필요하며, 없으면 설치 작업을 "
    "다시 실행하세요.",
)


@dataclass(frozen=True)
class Validity:
    """The span in which every certificate of a file is valid, Unix seconds: both ends included."""

    begins_at: float
    ends_at: float


@dataclass(frozen=True)
class Rules:
    """The rules of the packet filter.

    Attributes:
        planned: digest of those that the settings give.
        loaded: digest that the loaded table names, if any.
        odd: the first loaded rule that is not as planned; empty if none is.
        others: tables of somebody else, which may let out or copy what the planned rules drop.
    """

    planned: str
    loaded: str | None
    odd: str = ""
    others: tuple[str, ...] = ()

    @property
    def agree(self) -> bool:
        """Whether they are the same."""
        return self.loaded == self.planned and not self.odd and not self.others


def unknown(check: Check, reason: Text, remedy: Text | None = None, samples: tuple[Sample, ...] = ()) -> Outcome:
    """A check that could not look."""
    return Outcome(check, (Finding(SUBJECTS[check], "unknown", reason, remedy),), samples, looked=False)


def audit(note: Note, now: float) -> Outcome:
    """The last verification of the audit."""
    records = note.number("records")
    samples = [
        Sample("appliance_audit_intact", note.ok),
        Sample("appliance_audit_verified_timestamp_seconds", note.at),
    ]
    if records is not None:
        samples.append(Sample("appliance_audit_records", records))
    when = _ago(now - note.at)
    if note.ok:
        count = f"{records or 0:,.0f}"
        text = Text(f"{count} records whole, verified {when.english}", f"기록 {count}건 이상 없음, {when.korean} 검증")
        return _one("audit", "good", text, None, samples)
    problem = str(note.facts.get("problem", "")) or "the chain is not whole."
    text = Text(f"BROKEN, verified {when.english}: {problem}", f"손상됨, {when.korean} 검증: {problem}")
    remedy = Text(
        "Change nothing, copy records.* for the auditor, run `appliance report --verify-audit` (docs/audit.md).",
        "아무것도 바꾸지 말고 records.* 사본을 보관한 뒤 `appliance report --verify-audit`를 실행하세요.",
    )
    return _one("audit", "bad", text, remedy, samples)


def backup(note: Note | None, *, configured: bool, now: float) -> Outcome:
    """The last backup; None: none has been tried."""
    samples = [Sample("appliance_backup_configured", configured)]
    if note is None and not configured:
        remedy = Text(
            "Configure one: a disk can fail on any day.", "백업을 설정하세요. 디스크는 언제든 고장날 수 있습니다."
        )
        return _one("backup", "off", Text("not configured", "설정되지 않음"), remedy, samples)
    look = Text(
        "Read `journalctl -u appliance-backup`, then `systemctl start appliance-backup`.",
        "`journalctl -u appliance-backup`을 확인한 뒤 `systemctl start appliance-backup`을 실행하세요.",
    )
    if note is None:
        return _one("backup", "bad", Text("none has been made yet", "아직 백업이 없음"), look, samples)
    succeeded_at = note.at if note.ok else note.number("last_success_at")
    if succeeded_at is not None:
        samples.append(Sample("appliance_backup_last_success_timestamp_seconds", succeeded_at))
    size = note.number("size_bytes")  # of the last good one
    if size is not None and succeeded_at is not None:
        samples.append(Sample("appliance_backup_size_bytes", size))
    when = _ago(now - note.at)
    if not note.ok:
        return _one("backup", "bad", Text(f"failed {when.english}", f"{when.korean} 실패"), look, samples)
    bulk = "" if size is None else f", {size / 1e6:,.1f} MB"
    text = Text(f"made {when.english}{bulk}", f"{when.korean} 완료{bulk}")
    if now - note.at > BACKUP_OLD_SECONDS:
        return _one("backup", "bad", text, look, samples)
    return _one("backup", "good", text, None, samples)


def certificates(read: Mapping[str, Validity | str], now: float) -> Outcome:
    """The certificates of TLS.

    Args:
        read: one of ``CERTIFICATES`` to what its file says, or to the reason why it could not be read.
        now: Unix seconds.
    """
    if not read:
        text = Text("none is configured", "설정된 인증서 없음")
        remedy = Text(
            "Without TLS the LAN can read along: set gateway.tls_certificate_path.",
            "TLS가 없으면 내부망에서 내용을 볼 수 있습니다. gateway.tls_certificate_path를 설정하세요.",
        )
        return _one("certificate", "off", text, remedy, [])
    name = "appliance_certificate_expiry_timestamp_seconds"
    return Outcome(
        "certificate",
        tuple(_certificate(which, found, now) for which, found in read.items()),
        tuple(Sample(name, found.ends_at, (which,)) for which, found in read.items() if isinstance(found, Validity)),
        looked=all(isinstance(found, Validity) for found in read.values()),
    )


def _certificate(which: str, found: Validity | str, now: float) -> Finding:
    subject = _CERTIFICATE_SUBJECTS[which]
    if isinstance(found, str):
        remedy = Text(
            f"See that {_CERTIFICATE_SETTINGS[which]} names it, and that this user may read it.",
            f"{_CERTIFICATE_SETTINGS[which]} 설정과 파일 권한을 확인하세요.",
        )
        return Finding(subject, "unknown", Text(found, f"읽을 수 없음: {found}"), remedy)
    day = datetime.fromtimestamp(found.ends_at, UTC).strftime("%Y-%m-%d")
    if now < found.begins_at:
        remedy = Text("Check the clock with `timedatectl`.", "`timedatectl`로 시계를 확인하세요.")
        return Finding(subject, "bad", Text("not valid yet", "아직 유효하지 않음"), remedy)
    left = found.ends_at - now
    if left < 0:
        return Finding(subject, "bad", Text(f"ended on {day}", f"{day} 만료됨"), _RENEW)
    days = f"{left // _DAY:,.0f}"
    text = Text(f"ends in {days} days, on {day}", f"{days}일 뒤 {day} 만료")
    if left < CERTIFICATE_SOON_SECONDS:
        return Finding(subject, "warning", text, _RENEW)
    return Finding(subject, "good", text)


def clock(measured: Measured | None, now: float) -> Outcome:
    """What chrony measured last; None: it keeps no log, or has measured nothing yet."""
    if measured is None:
        return _one("clock", "off", Text("chrony has measured nothing", "chrony의 측정 기록 없음"), _CLOCK, [])
    when = _ago(now - measured.at)
    if measured.offset_seconds is None or now - measured.at > CLOCK_OLD_SECONDS:
        text = Text(
            f"no time server is followed, last heard of {when.english}",
            f"시간 서버와 동기화되지 않음, {when.korean} 기록",
        )
        return _one("clock", "warning", text, _CLOCK, [])
    offset = measured.offset_seconds
    text = Text(f"{offset:.3f} s off, measured {when.english}", f"오차 {offset:.3f}초, {when.korean} 측정")
    is_off = offset > CLOCK_OFF_SECONDS
    samples = [Sample("appliance_clock_offset_seconds", offset)]
    return _one("clock", "warning" if is_off else "good", text, _CLOCK if is_off else None, samples)


def egress_without_rules(reason: Text) -> Outcome:
    """No packet filter of the appliance is loaded."""
    finding = Finding(SUBJECTS["egress"], "bad", reason, _LOAD_RULES)
    return Outcome("egress", (finding,), (Sample("appliance_egress_rules_loaded", 0),), looked=False)


def egress(dropped: Mapping[str, Dropped], rules: Rules) -> Outcome:
    """The packet filter that is loaded, and what it dropped by source."""
    packets = sum(count.packets for count in dropped.values())
    samples = [
        Sample("appliance_egress_rules_loaded", rules.agree),
        *(Sample("appliance_egress_dropped_packets_total", n.packets, (who,)) for who, n in dropped.items()),
        *(Sample("appliance_egress_dropped_bytes_total", n.bytes, (who,)) for who, n in dropped.items()),
    ]
    if not rules.agree:
        remedy = _SOMEBODYS_TABLES if rules.others else _LOAD_RULES
        return _one("egress", "bad", _disagreement(rules), remedy, samples)
    text = Text(
        f"the planned rules are loaded, {packets:,} packets dropped",
        f"계획된 규칙이 적용됨, 차단된 패킷 {packets:,}개",
    )
    # The system's own multicast and look-ups are dropped on any day; the appliance's users never send by themselves.
    who = ", ".join(source for source, count in dropped.items() if count.packets and source != "other")
    if not who:
        return _one("egress", "good", text, None, samples)
    remedy = Text(
        f"Nothing left the box, but {who} tried. Keep the logs and tell the vendor (docs/upkeep.md).",
        f"밖으로 나간 것은 없지만 {who}에서 시도했습니다. 로그를 보관하고 공급사에 알리세요 (docs/upkeep.md).",
    )
    return _one("egress", "warning", text, remedy, samples)


def _disagreement(rules: Rules) -> Text:
    if rules.loaded != rules.planned:
        return Text("the loaded rules are not those of the settings", "적용된 규칙이 설정과 다름")
    if not rules.odd:
        others = ", ".join(rules.others)
        return Text(
            f"tables besides inet appliance are loaded: {others}", f"inet appliance 외의 테이블이 있음: {others}"
        )
    return Text(f"a loaded rule is not as planned: {rules.odd}", f"계획과 다른 규칙이 적용됨: {rules.odd}")


def privacy_test(note: Note | None, now: float) -> Outcome:
    """The last privacy test that came to a result; None: there is none."""
    if note is None:
        return _one("privacy_test", "off", Text("not run yet", "아직 실행되지 않음"), _RUN_PRIVACY_TEST, [])
    found = note.number("canaries_found")
    samples = [
        Sample("appliance_privacy_test_passed", note.ok),
        Sample("appliance_privacy_test_timestamp_seconds", note.at),
    ]
    if found is not None:
        samples.append(Sample("appliance_privacy_test_canaries_found", found))
    when = _ago(now - note.at)
    if not note.ok:
        places = "" if found is None else f" {found:,.0f}"
        text = Text(f"planted words FOUND{places}, {when.english}", f"{when.korean} 시험에서 시험용 단어 발견{places}")
        remedy = Text(
            "Run `appliance privacy-test`: it names the files. Tell the vendor.",
            "`appliance privacy-test`를 실행해 어느 파일인지 확인하고 공급사에 알리세요.",
        )
        return _one("privacy_test", "bad", text, remedy, samples)
    text = Text(f"no planted word found, {when.english}", f"{when.korean} 시험에서 발견된 단어 없음")
    if now - note.at > PRIVACY_TEST_OLD_SECONDS:
        return _one("privacy_test", "warning", text, _RUN_PRIVACY_TEST, samples)
    return _one("privacy_test", "good", text, None, samples)


def _one(check: Check, state: State, text: Text, remedy: Text | None, samples: list[Sample]) -> Outcome:
    return Outcome(check, (Finding(SUBJECTS[check], state, text, remedy),), tuple(samples))


def _ago(seconds: float) -> Text:
    """How long ago, in the largest unit of which there are two."""
    if seconds < 0:
        return Text("at a later time than now", "현재보다 나중 시각에")
    for size, english, korean in ((_DAY, "days", "일"), (_HOUR, "hours", "시간"), (60.0, "minutes", "분")):
        if seconds >= 2 * size:
            return Text(f"{seconds // size:.0f} {english} ago", f"{seconds // size:.0f}{korean} 전")
    return Text("just now", "방금")
