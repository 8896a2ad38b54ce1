"""What the facts mean, for a person and for Prometheus."""

from __future__ import annotations

import pytest

from appliance.core.nft_listing import Dropped
from appliance.core.upkeep import Outcome, Text
from appliance.core.upkeep_judgement import (
    Rules,
    Validity,
    audit,
    backup,
    certificates,
    egress,
    egress_without_rules,
    privacy_test,
    unknown,
)
from appliance.core.upkeep_note import Note

NOW = 1_795_400_000.0
HOUR = 3600.0
DAY = 24 * HOUR
DIGEST = "ab" * 32
RIGHT = Rules(DIGEST, DIGEST)


def values(outcome: Outcome) -> dict[str, float]:
    """Series without prefix, its label's value behind a slash."""
    return {
        "/".join((sample.name.removeprefix("appliance_"), *sample.labels)): float(sample.value)
        for sample in outcome.samples
    }


def state(outcome: Outcome) -> str:
    (finding,) = outcome.findings
    return finding.state


def test_whole_audit_is_good() -> None:
    outcome = audit(Note(NOW - 3 * HOUR, ok=True, facts={"records": 2041}), NOW)
    assert state(outcome) == "good"
    assert outcome.findings[0].text == Text(
        "2,041 records whole, verified 3 hours ago", "기록 2,041건 이상 없음, 3시간 전 검증"
    )
    assert values(outcome) == {
        "audit_intact": 1, "audit_verified_timestamp_seconds": NOW - 3 * HOUR, "audit_records": 2041
    }  # fmt: skip


def test_broken_audit_is_bad_and_says_where_in_both_languages() -> None:
    outcome = audit(Note(NOW, ok=False, facts={"records": 3, "problem": "record 4 is missing."}), NOW)
    assert (state(outcome), values(outcome)["audit_intact"], outcome.looked) == ("bad", 0, True)
    assert all("record 4 is missing." in text for text in outcome.findings[0].text)
    assert outcome.findings[0].remedy is not None


def test_backup_that_is_not_configured_is_said_and_has_no_time() -> None:
    outcome = backup(None, configured=False, now=NOW)
    assert (state(outcome), values(outcome), outcome.looked) == ("off", {"backup_configured": 0}, True)


def test_backup_that_is_configured_and_was_never_made_is_bad() -> None:
    outcome = backup(None, configured=True, now=NOW)
    assert (state(outcome), values(outcome)) == ("bad", {"backup_configured": 1})


@pytest.mark.parametrize(("age", "expected"), [(HOUR, "good"), (35 * HOUR, "good"), (37 * HOUR, "bad")])
def test_backup_is_good_while_it_is_fresh(age: float, expected: str) -> None:
    outcome = backup(Note(NOW - age, ok=True, facts={"size_bytes": 5_000_000}), configured=True, now=NOW)
    assert state(outcome) == expected
    assert values(outcome) == {
        "backup_configured": 1, "backup_last_success_timestamp_seconds": NOW - age, "backup_size_bytes": 5_000_000
    }  # fmt: skip


def test_failed_backup_is_bad_and_keeps_the_time_and_size_of_the_last_good_one() -> None:
    facts = {"last_success_at": NOW - DAY, "size_bytes": 7}
    outcome = backup(Note(NOW, ok=False, facts=facts), configured=True, now=NOW)
    assert state(outcome) == "bad"
    assert values(outcome)["backup_last_success_timestamp_seconds"] == NOW - DAY
    assert values(outcome)["backup_size_bytes"] == 7
    first = backup(Note(NOW, ok=False), configured=True, now=NOW)
    assert values(first) == {"backup_configured": 1}


@pytest.mark.parametrize(
    ("begins", "ends", "expected", "word"),
    [
        (-DAY, 100 * DAY, "good", "100 days"),
        (-DAY, 29 * DAY, "warning", "29 days"),
        (-DAY, -1, "bad", "ended on 2026-11-2"),
        (60, 90 * DAY, "bad", "not valid yet"),
    ],
)
def test_certificate_is_judged_by_its_span(begins: float, ends: float, expected: str, word: str) -> None:
    outcome = certificates({"server": Validity(NOW + begins, NOW + ends)}, NOW)
    assert state(outcome) == expected
    assert word in outcome.findings[0].text.english
    assert values(outcome) == {"certificate_expiry_timestamp_seconds/server": NOW + ends}


def test_certificate_that_cannot_be_read_leaves_the_other_its_series() -> None:
    outcome = certificates({"server": "server.pem: Permission denied", "ca": Validity(0, NOW + 90 * DAY)}, NOW)
    assert [finding.state for finding in outcome.findings] == ["unknown", "good"]
    assert list(values(outcome)) == ["certificate_expiry_timestamp_seconds/ca"]
    assert not outcome.looked
    remedy = outcome.findings[0].remedy
    assert remedy is not None
    assert all("gateway.tls_certificate_path" in text for text in remedy)


def test_box_without_certificates_has_no_series() -> None:
    outcome = certificates({}, NOW)
    assert (state(outcome), values(outcome), outcome.looked) == ("off", {}, True)


def test_planned_rules_that_dropped_nothing_are_good() -> None:
    outcome = egress({"engine": Dropped(0, 0), "other": Dropped(0, 0)}, RIGHT)
    assert (state(outcome), outcome.looked) == ("good", True)
    assert values(outcome) == {
        "egress_rules_loaded": 1,
        "egress_dropped_packets_total/engine": 0, "egress_dropped_packets_total/other": 0,
        "egress_dropped_bytes_total/engine": 0, "egress_dropped_bytes_total/other": 0,
    }  # fmt: skip


def test_dropped_packet_of_the_appliance_is_a_warning_that_names_who_tried() -> None:
    outcome = egress({"engine": Dropped(1, 60), "gateway": Dropped(0, 0), "other": Dropped(2, 120)}, RIGHT)
    assert state(outcome) == "warning"
    assert values(outcome)["egress_dropped_bytes_total/other"] == 120
    remedy = outcome.findings[0].remedy
    assert remedy is not None
    assert "but engine tried" in remedy.english
    assert "3 packets" in outcome.findings[0].text.english


def test_dropped_packet_of_the_system_is_counted_and_no_warning() -> None:
    outcome = egress({"engine": Dropped(0, 0), "other": Dropped(2, 120)}, RIGHT)
    assert state(outcome) == "good"
    assert "2 packets" in outcome.findings[0].text.english


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (Rules(DIGEST, None), "not those of the settings"),
        (Rules(DIGEST, "cd" * 32, odd="accept"), "not those of the settings"),
        (Rules(DIGEST, DIGEST, odd="tcp dport 53 accept"), "not as planned: tcp dport 53 accept"),
    ],
)
def test_rules_of_another_plan_are_bad_and_still_counted(rules: Rules, said: str) -> None:
    outcome = egress({"engine": Dropped(1, 60)}, rules)
    assert (state(outcome), values(outcome)["egress_rules_loaded"]) == ("bad", 0)
    assert said in outcome.findings[0].text.english
    assert values(outcome)["egress_dropped_packets_total/engine"] == 1


def test_box_without_rules_says_0_and_counts_nothing() -> None:
    outcome = egress_without_rules(Text("none", "없음"))
    assert (state(outcome), outcome.looked, values(outcome)) == ("bad", False, {"egress_rules_loaded": 0})


@pytest.mark.parametrize(
    ("ok", "age", "expected"), [(True, HOUR, "good"), (True, 40 * HOUR, "warning"), (False, HOUR, "bad")]
)
def test_privacy_test_is_judged_by_result_and_age(ok: bool, age: float, expected: str) -> None:
    found = 0 if ok else 2
    outcome = privacy_test(Note(NOW - age, ok, {"canaries_found": found}), NOW)
    assert state(outcome) == expected
    assert values(outcome) == {
        "privacy_test_passed": ok, "privacy_test_timestamp_seconds": NOW - age, "privacy_test_canaries_found": found
    }  # fmt: skip


def test_privacy_test_that_never_ran_has_no_series() -> None:
    outcome = privacy_test(None, NOW)
    assert "/etc/appliance/credentials/privacy-test-key" in str(outcome.findings[0].remedy)
    assert (state(outcome), values(outcome), outcome.looked) == ("off", {}, True)


def test_check_that_could_not_look_says_why_and_has_no_series() -> None:
    outcome = unknown("backup", Text("why", "이유"))
    assert (state(outcome), values(outcome), outcome.looked) == ("unknown", {}, False)


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (0, "just now / 방금"), (119, "just now / 방금"), (120, "2 minutes ago / 2분 전"), (2 * HOUR, "2 hours ago / 2시간 전"),
        (47 * HOUR, "47 hours ago / 47시간 전"), (2 * DAY, "2 days ago / 2일 전"), (-60, "at a later time than now / 현재보다 나중 시각에"),
    ],
)  # fmt: skip
def test_age_is_said_in_words(age: float, text: str) -> None:
    finding = privacy_test(Note(NOW - age, ok=True), NOW).findings[0]
    english, korean = text.split(" / ")
    assert english in finding.text.english
    assert korean in finding.text.korean
