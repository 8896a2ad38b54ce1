"""docs/settings.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from appliance.cli.settings import page
from appliance.settings import FILE_VARIABLE, SYSTEM_FILE, describe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_page_is_what_the_code_renders() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/settings.md"


def test_page_names_every_setting_and_where_they_are_read_from() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert FILE_VARIABLE in text
    assert str(SYSTEM_FILE) in text
    assert [setting.name for setting in describe() if f"`{setting.variable}`" not in text] == []
