"""Claims about ``core.clock_log``; the lines are those of chrony.conf(5) and of chrony 4.3."""

from __future__ import annotations

import pytest

from appliance.core import clock_log
from appliance.core.clock_log import Measured

TITLE = """\
===================================================================================================================================
   Date (UTC) Time     IP Address   St   Freq ppm   Skew ppm     Offset L Co  Offset sd Rem. corr. Root delay Root disp. Max. error
===================================================================================================================================
"""
FOLLOWED = (
    "2017-08-22 13:22:36 203.0.113.15     2     -3.541      0.075 -8.621e-06 N  2  2.940e-03 -2.084e-04  1.534e-02  "
    "3.472e-04  8.304e-03\n"
)
ALONE = (
    "2026-11-23 05:51:45 0.0.0.0          0      0.000 1000000.000  0.000e+00 ?  0  0.000e+00 -0.000e+00  1.000e+00  "
    "1.000e+00  1.500e+00\n"
)


def test_the_last_measurement_counts_and_the_offset_has_no_sign() -> None:
    assert clock_log.last(TITLE + ALONE + FOLLOWED) == Measured(1503408156.0, 8.621e-06)
    assert clock_log.last(TITLE + FOLLOWED + TITLE) == Measured(1503408156.0, 8.621e-06)


def test_where_no_source_is_followed_there_is_no_offset() -> None:
    assert clock_log.last(FOLLOWED + ALONE) == Measured(1795413105.0, None)


@pytest.mark.parametrize("text", ["", "\n", TITLE])
def test_a_log_without_a_measurement_has_none(text: str) -> None:
    assert clock_log.last(text) is None


@pytest.mark.parametrize(
    "line", ["nonsense\n", FOLLOWED.replace("-8.621e-06", "nan"), FOLLOWED.replace("-08-", "-13-")]
)
def test_another_line_is_no_measurement(line: str) -> None:
    with pytest.raises(ValueError, match="no measurement"):
        clock_log.last(line)
