"""Is the packet filter loaded as planned, and what did it drop? Asked of the kernel by ``nft``.

The rules are the planned ones where the table's comment names the digest of
those that the settings give, where they are the same rule by rule (a comment
alone would not show a rule that somebody added by hand), and where there is no
other table: one of the family netdev copies packets after they were let out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from appliance.core import egress, loaded_rules, nft_listing, upkeep_judgement
from appliance.core.egress import TABLE
from appliance.core.nft_listing import Dropped
from appliance.core.upkeep import Outcome, Text
from appliance.core.upkeep_judgement import Rules

#: It answers in milliseconds; the kernel may hold it up while other rules are loaded.
DEADLINE_SECONDS = 10.0
#: A timer's or another user's path may lack the last ones.
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOT = Text("Run it as root, or with the right CAP_NET_ADMIN.", "root 권한 또는 CAP_NET_ADMIN 권한으로 실행하세요.")


class _CannotAsk(Exception):
    """nft did not answer; ``outcome`` says why."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        super().__init__(outcome.findings[0].text.english)


def look(rules: str, nft: Sequence[str] = ("nft",), deadline_seconds: float = DEADLINE_SECONDS) -> Outcome:
    """See what the kernel has.

    Args:
        rules: the ruleset that the settings give, as text.
        nft: how nft is called: words of a command.
        deadline_seconds: longest wait for each of three calls.
    """
    try:
        dropped = nft_listing.dropped(
            _ask(nft, "-j", "list", "counters", "table", *TABLE.split(), seconds=deadline_seconds)
        )
        # Without the counters' values, with the users' names.
        listing = _ask(nft, "-s", "-u", "list", "table", *TABLE.split(), seconds=deadline_seconds)
        others = nft_listing.other_tables(_ask(nft, "-j", "list", "tables", seconds=deadline_seconds))
    except _CannotAsk as err:
        return err.outcome
    except ValueError as err:
        reason = Text(f"nft's answer cannot be read: {err}", f"nft의 응답을 읽을 수 없음: {err}")
        return upkeep_judgement.unknown("egress", reason)
    return upkeep_judgement.egress(
        dropped,
        Rules(
            planned=egress.digest(rules),
            loaded=nft_listing.loaded_rules(listing),
            odd=loaded_rules.difference(rules, listing),
            others=others,
        ),
    )


def counters(nft: Sequence[str] = ("nft",), deadline_seconds: float = DEADLINE_SECONDS) -> dict[str, Dropped] | None:
    """What was dropped since the rules were loaded, by source; None where the kernel cannot be asked."""
    try:
        return nft_listing.dropped(
            _ask(nft, "-j", "list", "counters", "table", *TABLE.split(), seconds=deadline_seconds)
        )
    except (_CannotAsk, ValueError):
        return None


def _ask(nft: Sequence[str], *words: str, seconds: float) -> str:
    program = shutil.which(nft[0], path=PROGRAM_PATH)
    if program is None:
        reason = Text("nft is not installed, so no rules are loaded", "nft가 설치되지 않아 규칙이 적용되지 않음")
        raise _CannotAsk(upkeep_judgement.egress_without_rules(reason))
    try:
        done = subprocess.run(
            [program, *nft[1:], *words], capture_output=True, text=True, errors="replace", timeout=seconds, check=False,
            env={"PATH": PROGRAM_PATH, "LC_ALL": "C"},  # its errors are told apart by their words
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        reason = Text(f"nft did not answer within {seconds:g} s", f"nft가 {seconds:g}초 안에 응답하지 않음")
        raise _CannotAsk(upkeep_judgement.unknown("egress", reason)) from None
    except OSError as err:
        reason = Text(f"nft cannot be run: {err.strerror}", f"nft를 실행할 수 없음: {err.strerror}")
        raise _CannotAsk(upkeep_judgement.unknown("egress", reason)) from None
    if done.returncode == 0:
        return done.stdout
    if "No such file or directory" in done.stderr:
        reason = Text("the table inet appliance is not loaded", "inet appliance 테이블이 적용되지 않음")
        raise _CannotAsk(upkeep_judgement.egress_without_rules(reason))
    if "not permitted" in done.stderr:
        reason = Text("this user may not read the packet filter", "이 사용자는 방화벽 규칙을 읽을 수 없음")
        raise _CannotAsk(upkeep_judgement.unknown("egress", reason, _ROOT))
    reason = Text(f"nft ended with status {done.returncode}", f"nft가 상태 {done.returncode}로 끝남")
    raise _CannotAsk(upkeep_judgement.unknown("egress", reason))
