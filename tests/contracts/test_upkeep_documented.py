"""docs/upkeep.md says what upkeep tells Prometheus and how old is too old."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.cli import upkeep_notes
from appliance.core import drop_total, upkeep_judgement
from appliance.core.upkeep import CERTIFICATES, CHECKS, FAMILIES

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "upkeep.md").read_text(encoding="utf-8")


def test_page_has_the_row_of_every_family_and_no_other() -> None:
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels) or '—'} | {family.text} |"
        for family in FAMILIES
    ]
    assert [row for row in rows if row not in TEXT] == []
    assert set(re.findall(r"`(appliance_[a-z_]+)`", TEXT)) == {family.name for family in FAMILIES}


def test_page_names_every_value_of_a_label_and_every_file() -> None:
    files = (upkeep_notes.AUDIT, upkeep_notes.BACKUP, upkeep_notes.PRIVACY_TEST, drop_total.FILE_NAME)
    assert [name for name in (*CHECKS, *CERTIFICATES, *files) if f"`{name}`" not in TEXT] == []


def test_page_says_how_old_is_too_old() -> None:
    assert upkeep_judgement.BACKUP_OLD_SECONDS == upkeep_judgement.PRIVACY_TEST_OLD_SECONDS == 36 * 3600
    assert upkeep_judgement.CERTIFICATE_SOON_SECONDS == 30 * 86_400
    assert TEXT.count("36시간 이상 지남") == 2
    assert TEXT.count("30일 안에 만료") == 1
