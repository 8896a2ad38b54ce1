"""The whole scrape, line by line, of the recorded card and the synthetic ones; and what Prometheus thinks of it.

``UPDATE_GOLDENS=1 python -m pytest tests/exporter/test_exporter_goldens.py`` writes them anew: read the difference.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.exporter import dcgm
from appliance.exporter.metrics import render
from tests.exporter.conftest import Rig
from tests.fakes import nvml, nvml_cards

GOLDENS = Path(__file__).parents[1] / "goldens" / "exporter"
CARDS = {
    "h100": nvml.recorded,
    "synthetic_rtx_4090": nvml_cards.rtx_4090,
    "synthetic_l4": nvml_cards.l4,
    "synthetic_a100_mig": nvml_cards.a100_mig,
    "synthetic_older": nvml_cards.older,
}
MakeRig = Callable[..., Rig]


def scrape(made: Rig, *, dcgm_names: bool = False) -> str:
    """A second scrape, which has what is measured after the first."""
    made.survey.read()
    made.survey.measure()
    samples = made.survey.read()
    return render([*samples, *dcgm.renamed(samples, "box")] if dcgm_names else samples).decode()


def golden(name: str, text: str) -> str:
    """What is kept under this name; ``text`` is kept if that is asked for."""
    file = GOLDENS / f"{name}.prom"
    if os.environ.get("UPDATE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("card", CARDS)
def test_scrape_is_what_it_was(rig: MakeRig, card: str) -> None:
    text = scrape(rig(CARDS[card]()))
    assert text == golden(card, text)


def test_scrape_with_dcgm_names_is_what_it_was(rig: MakeRig) -> None:
    text = scrape(rig(), dcgm_names=True)
    assert text == golden("h100_dcgm_names", text)


@pytest.mark.parametrize("card", CARDS)
def test_prometheus_finds_nothing_wrong_with_names_units_and_help(rig: MakeRig, card: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    text = scrape(rig(CARDS[card]()))
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("card", CARDS)
def test_the_maintainers_parser_reads_every_family_once(rig: MakeRig, card: str) -> None:
    families = list(text_string_to_metric_families(scrape(rig(CARDS[card]()), dcgm_names=True)))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation and family.samples for family in families)
