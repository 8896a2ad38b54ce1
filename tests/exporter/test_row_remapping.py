"""Rows replaced by spare ones."""

from __future__ import annotations

from appliance.exporter.row_remapping import RowRemapping
from tests.exporter.conftest import values
from tests.fakes import nvml_cards


def test_counts_pending_and_what_is_left(rig):
    found = values(RowRemapping().collect(rig(nvml_cards.l4()).gpu()))
    assert found["appliance_gpu_remapped_rows_total", "0", "uncorrected"] == 1
    assert found["appliance_gpu_row_remap_pending", "0"] == 1
    assert found["appliance_gpu_row_remap_failed", "0"] == 0
    assert found["appliance_gpu_row_remap_banks", "0", "high"] == 2


def test_an_older_card_has_none(rig):
    assert list(RowRemapping().collect(rig(nvml_cards.older()).gpu())) == []
