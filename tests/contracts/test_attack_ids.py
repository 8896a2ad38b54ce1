"""Every advisory that the code must answer has a regression test that is named by its id."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FILES = (TESTS / "gateway" / "test_attacks.py", TESTS / "engine" / "test_engine_attacks.py")
#: vLLM, Starlette and torch, as of the versions that are pinned.
ADVISORIES = [
    "CVE-2026-24779",
    "CVE-2026-34753",
    "CVE-2026-116176",
    "CVE-2026-48746",
    "CVE-2026-48710",
    "CVE-2025-32444",
    "CVE-2025-29783",
    "CVE-2025-30165",
    "CVE-2025-30202",
    "CVE-2026-22807",
    "CVE-2026-27893",
    "CVE-2025-32434",
    "CVE-2026-24747",
    "CVE-2025-29770",
    "CVE-2025-32381",
    "CVE-2025-48942",
    "CVE-2025-48943",
    "GHSA-vrq3-r879-7m65",
    "CVE-2026-105757",
    "CVE-2025-62426",
    "CVE-2026-115911",
    "CVE-2026-34756",
    "PYSEC-2026-2303",
    "CVE-2026-105756",
    "CVE-2025-46570",
    "CVE-2025-46722",
    "PYSEC-2026-4325",
]


def test_every_advisory_has_a_test_of_its_name() -> None:
    names = " ".join(
        re.findall(r"^def (test_\w+)\(", "\n".join(file.read_text(encoding="utf-8") for file in FILES), re.MULTILINE)
    )
    assert [advisory for advisory in ADVISORIES if advisory.lower().replace("-", "_") not in names] == []


def test_no_advisory_is_listed_twice() -> None:
    assert len(set(ADVISORIES)) == len(ADVISORIES)
