"""Errors of the memory."""

from __future__ import annotations

from appliance.exporter.ecc import Ecc
from tests.exporter.conftest import values
from tests.fakes import nvml_cards

NAME = "appliance_gpu_ecc_errors_total"


def test_corrected_and_uncorrected_since_boot_and_over_the_cards_life(rig):
    found = values(Ecc().collect(rig(nvml_cards.l4()).gpu()))
    assert found[NAME, "0", "corrected", "volatile"] == 3
    assert found[NAME, "0", "corrected", "aggregate"] == 17
    assert found[NAME, "0", "uncorrected", "volatile"] == 0
    assert found[NAME, "0", "uncorrected", "aggregate"] == 1


def test_a_card_with_ecc_off_has_the_mode_and_no_counts(rig):
    found = values(Ecc().collect(rig(nvml_cards.rtx_4090()).gpu()))
    assert found == {
        ("appliance_gpu_ecc_mode_enabled", "0", "current"): 0,
        ("appliance_gpu_ecc_mode_enabled", "0", "pending"): 0,
    }
