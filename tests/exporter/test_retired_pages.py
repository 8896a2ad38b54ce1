"""Pages out of use."""

from __future__ import annotations

from appliance.exporter.retired_pages import RetiredPages
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_an_older_card_counts_them_by_cause(rig):
    assert values(RetiredPages().collect(rig(nvml_cards.older()).gpu())) == {
        ("appliance_gpu_retired_pages_total", "0", "single_bit"): 2,
        ("appliance_gpu_retired_pages_total", "0", "double_bit"): 1,
        ("appliance_gpu_retired_pages_pending", "0"): 1,
    }


def test_a_card_that_remaps_rows_has_none(rig):
    assert list(RetiredPages().collect(rig().gpu())) == []
