import json
import re
from xml.etree import ElementTree as ET

import pytest

from appliance.bundles import exam, exam_page


@pytest.fixture(scope="module")
def results():
    asked = exam.heldout(7, 80)
    wrong = [sample.answer.replace('"correct_answer":"', '"correct_answer":"9') for sample in asked]
    return [exam.mark("base <b>", asked, [""] * 80), exam.mark("w8a8", asked, wrong)]


@pytest.fixture(scope="module")
def page(results):
    return exam_page.render(results, "80 questions & more")


def test_page_needs_no_network_and_runs_nothing(page):
    assert "<script" not in page
    assert "url(" not in page
    assert re.findall(r'(?:src|href)="?(\S+)', page) == []


def test_page_shows_every_model_and_both_languages(page):
    assert "base &lt;b&gt;" in page
    assert "w8a8" in page
    assert "한국어" in page
    assert "Korean" in page


def test_plots_are_well_formed_svg(page):
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 2
    assert all(ET.fromstring(plot).tag.endswith("svg") for plot in plots)  # noqa: S314 - our own page


def test_confusion_matrix_counts_every_diagnosis(page, results):
    drawn = re.findall(r'text-anchor="middle">(\d+)<', page)
    assert sum(map(int, drawn)) == results[-1].scores.overall.diagnosis.total


def test_text_of_a_reply_is_shown_as_text(results):
    asked = exam.heldout(7, 1)
    page = exam_page.render([exam.mark("m", asked, ["<img src=x onerror=alert(1)>"])], "one")
    assert "<img" not in page
    assert "&lt;img" in page


def test_scores_stand_beside_the_page(results, tmp_path):
    exam_page.write(results, tmp_path / "out", "80")
    stated = json.loads((tmp_path / "out" / exam_page.SCORES_NAME).read_text())
    assert [model["title"] for model in stated["models"]] == ["base <b>", "w8a8"]
    assert (tmp_path / "out" / exam_page.PAGE_NAME).stat().st_size > 5000
