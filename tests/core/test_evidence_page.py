"""Claims about ``core.evidence_page``."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from appliance.core import evidence, evidence_page
from appliance.core.controls import BY_KEY, CONTROLS
from tests.core.test_evidence import GOOD, broken

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Its tags, ids and addresses, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.addresses += [value for name in ("href", "src") if (value := values.get(name))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing() -> None:
    text = evidence_page.render(GOOD)
    page = Page(text)
    assert page.tags.isdisjoint({"script", "img", "link", "iframe"})
    assert all(address.startswith("#") for address in page.addresses)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_every_control_has_a_row_and_every_link_leads_to_one() -> None:
    page = Page(evidence_page.render(GOOD))
    assert page.ids == list(BY_KEY)
    assert {address.removeprefix("#") for address in page.addresses} <= set(page.ids)


def test_both_languages_and_the_disclaimer_are_there() -> None:
    text = evidence_page.render(GOOD)
    assert all(control.title.korean in text for control in CONTROLS)
    assert "법률 자문이 아닙니다" in text
    assert "not legal advice" in text


def test_a_result_is_shown_where_it_belongs_and_what_was_seen_is_no_markup() -> None:
    text = evidence_page.render(broken(files__modes=evidence.failed("<script>alert(1)</script>", "x & y")))
    row = text[text.index('id="files.modes"') :]
    row = row[: row.index("</tr>")]
    assert "FAIL" in row
    assert "부적합" in row
    assert "&lt;script&gt;" in row
    assert "x &amp; y" in row
    assert "<script" not in text


def test_it_prints_on_a4() -> None:
    text = evidence_page.render(GOOD)
    assert "@page{size:A4" in text
    assert "break-inside:avoid" in text
