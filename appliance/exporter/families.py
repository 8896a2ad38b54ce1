"""Every metric the exporter may show, for the documentation and for whoever names them (dashboards, rules)."""

from __future__ import annotations

from appliance.exporter import collectors, survey, xid_watch
from appliance.exporter.metrics import Family


def every() -> tuple[Family, ...]:
    """In the order of a scrape, without DCGM's names."""
    return (
        *survey.FAMILIES,
        *xid_watch.FAMILIES,
        *(family for collector in collectors.standard().every for family in collector.families),
    )
