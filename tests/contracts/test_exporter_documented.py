"""docs/exporter.md says what the exporter exports, and stands row by row beside DCGM-exporter's default file."""

from __future__ import annotations

import re

from appliance.exporter import dcgm, families
from tests.exporter import page
from tests.exporter.test_dcgm import DEFAULT_FILE

TEXT = page.PAGE.read_text(encoding="utf-8")


def test_tables_are_what_the_code_makes() -> None:
    assert page.filled(TEXT) == TEXT, "run `make docs` and commit docs/exporter.md"


def test_every_row_of_dcgms_default_file_has_ours_beside_it() -> None:
    table = page.tables()["dcgm"]
    for line in DEFAULT_FILE.strip().splitlines():
        assert f"| `{line.split()[0]}` | yes | `appliance_gpu_" in table


def test_ecc_throttle_time_and_xid_counts_are_there_beyond_it() -> None:
    table = page.tables()["dcgm"]
    for name in (
        "appliance_gpu_ecc_errors_total",
        "appliance_gpu_throttle_seconds_total",
        "appliance_gpu_xid_errors_total",
    ):
        assert name in table


def test_every_metric_the_page_names_exists() -> None:
    ours = {family.name for family in families.every()}
    named = set(re.findall(r"`(appliance_(?:gpu|exporter)_[a-z_]*[a-z])\b(?!_?\*)", TEXT))
    assert named <= ours
    assert set(re.findall(r"DCGM_FI_DEV_[A-Z_]+[A-Z]", TEXT)) <= {
        *(row.name for row in dcgm.ROWS),
        *page.WITHOUT_A_NAME,
        "DCGM_FI_DEV_PCIE",
    }
