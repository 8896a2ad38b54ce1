"""Is there a fresh backup?"""

from __future__ import annotations

from appliance.core.evidence import Result
from appliance.health import backup
from appliance.health.controls import from_upkeep
from appliance.health.host import Host


def fresh(host: Host) -> Result:
    """The last backup, at most a day and a half old."""
    configured = None not in (host.settings.backup.directory, host.settings.backup.recipient)
    return from_upkeep.result(
        backup.look(host.settings.upkeep_dir / "backup.json", host.now, configured=configured), off_is_unknown=False
    )
