"""The tables of ``docs/exporter.md``, made from the code: ``python -m tests.exporter.page`` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.exporter import dcgm, families, throttle, xids
from appliance.exporter.nvml import DOWN_REASONS, UNAVAILABLE_REASONS
from appliance.exporter.recovery import ACTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exporter.md"

#: What dcgm-exporter's default file has commented out and we have no DCGM name for: their row, our metric.
WITHOUT_A_NAME = {
    "DCGM_FI_DEV_POWER_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="sw_power_cap"}',
    "DCGM_FI_DEV_THERMAL_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="thermal"}',
    "DCGM_FI_DEV_SYNC_BOOST_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="sync_boost"}',
    "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="board_limit"}',
    "DCGM_FI_DEV_LOW_UTIL_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="low_utilization"}',
    "DCGM_FI_DEV_RELIABILITY_VIOLATION": 'appliance_gpu_throttle_seconds_total{reason="reliability"}',
}
#: What no row of that file has, neither on nor commented out.
MORE = {
    "a counter per XID, not only the last": "appliance_gpu_xid_errors_total",
    "which reasons hold the clocks down now": "appliance_gpu_throttle_active",
    "time spent in hardware slowdowns by reason": "appliance_gpu_throttle_seconds_total",
    "whether the card can be read, and why not": "appliance_gpu_down_reason",
    "what the driver itself wants done": "appliance_gpu_recovery_action",
    "rows waiting for a reset, and spare rows left": "appliance_gpu_row_remap_pending",
    "limits, thresholds and the margin to them": "appliance_gpu_temperature_margin_celsius",
    "processes by kind": "appliance_gpu_processes",
    "errors of the PCI Express link by kind": "appliance_gpu_pcie_errors_total",
}


def tables() -> dict[str, str]:
    """Each table by its name in the page."""
    return {
        "metrics": "\n".join(_metrics()),
        "dcgm": "\n".join(_dcgm()),
        "labels": "\n".join(_labels()),
        "xids": "\n".join(_xids()),
    }


def filled(text: str) -> str:
    """The page with its tables made anew."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        head, _, rest = text.partition(begin)
        _, found, tail = rest.partition(end)
        assert found, f"docs/exporter.md has no place for {name}"
        text = f"{head}{begin}{table}\n{end}{tail}"
    return text


def _metrics() -> Iterator[str]:
    yield "| metric | type | labels | what |\n| --- | --- | --- | --- |"
    for family in families.every():
        labels = ", ".join(f"`{label}`" for label in family.labels) or "–"
        yield f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"


def _dcgm() -> Iterator[str]:
    yield "| dcgm-exporter's row | on by default there | here | also under its name |\n| --- | --- | --- | --- |"
    for row in dcgm.ROWS:
        here = " + ".join(_selector(row.family.name, row.family.labels, labels) for labels in row.labels)
        yield f"| `{row.name}` | {'yes' if row.default else 'no'} | `{here}` | yes |"
    for name, here in WITHOUT_A_NAME.items():
        yield f"| `{name}` | no | `{here}` | no: its unit differs between versions |"
    for what, here in MORE.items():
        yield f"| – ({what}) | – | `{here}` | – |"


def _selector(name: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in zip(names[1:], values, strict=False))
    return f"{name}{{{pairs}}}" if pairs else name


def _labels() -> Iterator[str]:
    sets = {
        "`reason` of `appliance_gpu_down_reason`": DOWN_REASONS,
        "`reason` of `appliance_exporter_nvml_unavailable_reason`": UNAVAILABLE_REASONS,
        "`reason` of `appliance_gpu_throttle_*`": throttle.REASONS,
        "`action` of `appliance_gpu_recovery_action`": ACTIONS,
        "`action` of `appliance_gpu_xid_*`": tuple(dict.fromkeys(action for _, action in xids.LABELS)),
    }
    yield "| label | values |\n| --- | --- |"
    for label, values in sets.items():
        yield f"| {label} | {', '.join(f'`{value}`' for value in values)} |"


def _xids() -> Iterator[str]:
    yield "| action | XIDs |\n| --- | --- |"
    for action in dict.fromkeys(action for _, action in xids.LABELS):
        yield f"| `{action}` | {', '.join(number for number, its in xids.LABELS if its == action)} |"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
