"""Is the audit whole, kept long enough, and without gaps by design?"""

from __future__ import annotations

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.errors import ApplianceError
from appliance.health.host import Host

#: Safety-measures standard, art. 8; 730 with 50,000 people or sensitive data.
YEAR_DAYS = 365


def intact(host: Host) -> Result:
    """Walk along the chain now."""
    try:
        verdict = host.verify_audit()
    except ApplianceError as err:
        return unknown(err.message, f"확인할 수 없음: {err.message}")
    if verdict.problem is not None:
        return failed(verdict.problem.message, f"손상됨: {verdict.problem.message}")
    return passed(
        f"{verdict.records} records whole, head {str(verdict.head)[:24]}…",
        f"기록 {verdict.records}건 이상 없음, 끝 {str(verdict.head)[:24]}…",
    )


def retention(host: Host) -> Result:
    """A year at least."""
    days = host.settings.audit.retention_days
    if days < YEAR_DAYS:
        return failed(f"{days} days are less than a year", f"{days}일은 1년보다 짧음")
    two_years = " (two years)" if days >= 2 * YEAR_DAYS else ""
    return passed(f"{days} days{two_years}", f"{days}일")


def required(host: Host) -> Result:
    """A record that cannot be written refuses its request."""
    if not host.settings.audit.required:
        return failed("audit.required is false", "audit.required가 false임")
    return passed("audit.required is true", "audit.required가 true임")
