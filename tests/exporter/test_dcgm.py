"""NVIDIA's names for the same."""

from __future__ import annotations

import pytest

from appliance.exporter import dcgm
from tests.exporter.conftest import values
from tests.fakes import nvml_cards

#: What dcgm-exporter's etc/default-counters.csv exports unless told otherwise.
DEFAULT_FILE = """
DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_MEM_CLOCK gauge
DCGM_FI_DEV_MEMORY_TEMP gauge
DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_PCIE_TX_THROUGHPUT counter
DCGM_FI_DEV_PCIE_RX_THROUGHPUT counter
DCGM_FI_DEV_PCIE_REPLAY_COUNTER counter
DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_MEM_COPY_UTIL gauge
DCGM_FI_DEV_ENC_UTIL gauge
DCGM_FI_DEV_DEC_UTIL gauge
DCGM_FI_DEV_XID_ERRORS gauge
DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL counter
DCGM_FI_DEV_VGPU_LICENSE_STATUS gauge
DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS counter
DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS counter
DCGM_FI_DEV_ROW_REMAP_FAILURE gauge
"""


def exported(made):
    made.survey.read()
    made.survey.measure()
    return values(dcgm.renamed(made.survey.read(), "box"))


def test_every_row_of_the_default_file_is_there_with_its_type():
    assert [f"{row.name} {row.kind}" for row in dcgm.ROWS if row.default] == DEFAULT_FILE.split("\n")[1:-1]


def test_every_row_of_the_default_file_has_a_value_on_a_card_that_has_all(rig):
    names = {name for name, *_ in exported(rig())} | {name for name, *_ in exported(rig(nvml_cards.a100_mig()))}
    assert {row.name for row in dcgm.ROWS if row.default} <= names


def test_labels_are_dcgms(rig):
    (labels,) = {name[1:] for name in exported(rig())}
    assert dict(zip(dcgm.LABELS, labels, strict=True)) == {
        "gpu": "0",
        "UUID": "GPU-00000000-0000-4000-8000-0000000000a1",
        "pci_bus_id": "00000000:00:06.0",
        "device": "nvidia0",
        "modelName": "NVIDIA H100 80GB HBM3",
        "Hostname": "box",
        "DCGM_FI_DRIVER_VERSION": "580.159.04",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DCGM_FI_DEV_SM_CLOCK", 345),
        ("DCGM_FI_DEV_POWER_USAGE", 74.845),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 3_754_701),
        ("DCGM_FI_DEV_FB_USED", 480),
        ("DCGM_FI_DEV_PCIE_TX_THROUGHPUT", 742),
        ("DCGM_FI_DEV_XID_ERRORS", 0),
    ],
)
def test_units_are_dcgms(rig, name, value):
    assert {value for (found, *_), value in exported(rig()).items() if found == name} == {value}


def test_traffic_is_both_directions_together(rig):
    found = exported(rig(nvml_cards.a100_mig()))
    assert [value for name, value in found.items() if "NVLINK_BANDWIDTH" in name[0]] == [1_048_576 + 2_097_152]


def test_the_last_xid_is_the_number(rig):
    made = rig()
    made.ledger.record("0", 94, 1.0)
    assert [value for name, value in exported(made).items() if name[0] == "DCGM_FI_DEV_XID_ERRORS"] == [94]


def test_what_the_card_does_not_have_is_absent(rig):
    names = {name for name, *_ in exported(rig(nvml_cards.rtx_4090()))}
    assert not any("ECC" in name or "NVLINK" in name or "REMAP" in name for name in names)


def test_a_lost_card_has_none_of_them(rig):
    made = rig()
    made.read()
    made.driver.lose()
    assert exported(made) == {}
