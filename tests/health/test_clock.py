"""Claims about ``health.clock``."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.health import clock

AT = 1503408156.0
LINE = (
    "2017-08-22 13:22:36 203.0.113.15     2     -3.541      0.075 -8.621e-02 N  2  2.940e-03 -2.084e-04  1.534e-02  "
    "3.472e-04  8.304e-03\n"
)


@pytest.mark.parametrize(
    ("text", "age", "state", "series"),
    [
        (LINE.replace("e-02 N", "e-06 N"), 60, "good", [8.621e-06]),
        (LINE, 60, "warning", [0.08621]),
        (LINE, 7201, "warning", []),
        (LINE.replace(" N ", " ? "), 60, "warning", []),
        ("", 60, "off", []),
        (LINE + "2017-08-22 13:2", 60, "warning", [0.08621]),
        (LINE * 100, 60, "warning", [0.08621]),
    ],
)
def test_what_was_measured_last_is_told(tmp_path: Path, text: str, age: float, state: str, series: list[float]) -> None:
    log = tmp_path / "tracking.log"
    log.write_text(text)
    outcome = clock.look(log, AT + age)
    (finding,) = outcome.findings
    assert (finding.state, [sample.value for sample in outcome.samples], outcome.looked) == (state, series, True)
    assert (finding.remedy is None) is (state == "good")


def test_without_chrony_there_is_no_series(tmp_path: Path) -> None:
    outcome = clock.look(tmp_path / "absent.log", AT)
    assert (outcome.findings[0].state, outcome.samples, outcome.looked) == ("off", (), True)


def test_a_log_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "nonsense.log").write_text("nonsense\n")
    for path in (tmp_path, tmp_path / "nonsense.log"):
        outcome = clock.look(path, AT)
        assert (outcome.findings[0].state, outcome.samples, outcome.looked) == ("unknown", (), False)
