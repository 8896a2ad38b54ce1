"""What did the last privacy test find?"""

from __future__ import annotations

from appliance.core.evidence import Result
from appliance.health import privacy_test
from appliance.health.controls import from_upkeep
from appliance.health.host import Host


def last(host: Host) -> Result:
    """Its result, and whether it is of the last day and a half; one that was never run says nothing."""
    return from_upkeep.result(
        privacy_test.look(host.settings.upkeep_dir / "privacy-test.json", host.now), off_is_unknown=True
    )
