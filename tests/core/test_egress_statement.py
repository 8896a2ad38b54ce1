"""Claims about ``core.egress_statement``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from appliance.core import egress_statement, evidence
from appliance.core.drop_total import Total
from appliance.core.egress_statement import KEYS, Earlier, Statement
from appliance.core.nft_listing import Dropped

GOOD = Statement(
    at=1_795_406_848.0,
    host="box",
    machine_key="ab" * 32,
    rules_sha256="cd" * 32,
    results={key: evidence.passed("as planned", "계획대로") for key in KEYS},
    dropped={"engine": Dropped(0, 0), "other": Dropped(7, 420)},
    boot="boot-1",
    before="ef" * 32,
    earlier=Earlier({"engine": 0, "other": 5}),
)


def test_a_statement_says_what_it_rests_on_in_both_languages() -> None:
    values = egress_statement.parse(egress_statement.render(GOOD))
    assert values["holds"] is True
    assert (values["date"], values["before_sha256"], values["boot"]) == ("2026-11-23", "ef" * 32, "boot-1")
    assert list(values["controls"]) == list(KEYS)
    assert values["dropped"]["other"] == {
        "packets": 7,
        "bytes": 420,
        "packets_in_all": None,
        "packets_since_the_statement_before": 2,
    }
    assert values["counters_began_anew"] is False
    assert "the one made from its settings" in values["statement"]["english"]
    assert "외부 전송을 시도하지 않았으며" in values["statement"]["korean"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("result", [evidence.failed("x", "x"), evidence.unknown("x", "x")])
def test_what_is_not_known_is_not_stated(key: str, result: evidence.Result) -> None:
    statement = replace(GOOD, results={**GOOD.results, key: result})
    said = egress_statement.text(statement)
    assert not statement.holds
    assert said.english.endswith(f"it cannot be stated that nothing leaves box: {key}.")
    assert "확인할 수 없습니다" in said.korean


def test_counters_begin_anew_with_each_boot() -> None:
    values = json.loads(egress_statement.render(GOOD))
    assert egress_statement.earlier(values, "boot-1").counters == {"engine": 0, "other": 7}
    assert egress_statement.earlier(values, "boot-2").counters == {}
    assert egress_statement.earlier({"boot": "boot-1", "dropped": 1}, "boot-1") == Earlier()
    assert egress_statement.earlier({}, "boot-1") == Earlier()


def test_a_counter_that_is_smaller_than_before_is_counted_whole_and_the_load_is_said() -> None:
    loaded = replace(GOOD, earlier=Earlier({"engine": 0, "other": 50}))
    values = json.loads(egress_statement.render(loaded))
    assert values["dropped"]["other"]["packets_since_the_statement_before"] == 7
    assert values["counters_began_anew"] is True
    assert "was loaded anew or the box was started" in values["statement"]["english"]
    assert "다시 적용되었거나" in values["statement"]["korean"]


def test_the_running_total_counts_what_the_counters_lost() -> None:
    dropped = {"engine": Dropped(0, 0), "other": Dropped(70, 4200)}
    first = replace(GOOD, total=Total(5.0, 6.0, 7.0, dropped, GOOD.dropped, begun_anew=1))
    earlier = egress_statement.earlier(json.loads(egress_statement.render(first)), "boot-2")
    assert earlier == Earlier({}, {"engine": 0, "other": 70}, 5.0, 1)
    later = replace(first, boot="boot-2", earlier=earlier, dropped={**GOOD.dropped, "other": Dropped(7, 420)})
    later = replace(later, total=Total(5.0, 8.0, 9.0, {**dropped, "other": Dropped(79, 4740)}, later.dropped, 2))
    values = json.loads(egress_statement.render(later))
    assert values["dropped"]["other"]["packets_since_the_statement_before"] == 9
    assert values["dropped"]["other"]["packets_in_all"] == 79
    assert values["counters_began_anew"] is True
    assert values["total"] == {"since": 5.0, "begun_anew": 2}


def test_files_are_named_by_day_and_the_newest_is_found() -> None:
    assert egress_statement.file_name(GOOD.at) == "egress-2026-11-23.json"
    names = ["egress-2026-11-21.json", "egress-2026-11-22.json", "egress-2026-11-22.json.sig", "zebra.json"]
    assert egress_statement.latest(names) == "egress-2026-11-22.json"
    assert egress_statement.latest([]) is None


@pytest.mark.parametrize("content", [b"{}", b"[]", b"nonsense", b'{"format": 2, "kind": "appliance egress statement"}'])
def test_another_document_is_no_statement(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"no egress statement|Expecting"):
        egress_statement.parse(content)
