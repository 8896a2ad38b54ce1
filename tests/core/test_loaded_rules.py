"""Claims about ``core.loaded_rules``: against what a real nft lists, where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.core import egress, loaded_rules
from appliance.core.egress import Accounts, Traffic

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
TRAFFIC = Traffic(
    lan_subnets=("192.168.0.0/24", "fd12:3456:789a:1::/64"),
    admin_subnets=("192.168.0.5",),
    admin_ports=(9090, 22),
    ntp_servers=("192.168.0.1",),
)
#: Users that every Debian has.
ACCOUNTS = Accounts("daemon", "bin", "sys")
NAMES = [path.name for path in GOLDENS.glob("egress-*.nft")]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft")
def test_what_nft_lists_of_the_loaded_rules_is_the_same() -> None:
    planned = egress.ruleset(TRAFFIC, ACCOUNTS)
    script = "nft -f - && nft -s -u list table inet appliance"
    command = ["unshare", "--net", "sh", "-c", script]
    done = subprocess.run(command, input=planned, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert loaded_rules.difference(planned, done.stdout) == ""
    assert loaded_rules.difference(planned, done.stdout.replace("policy drop", "policy accept", 1))


@pytest.mark.parametrize("name", NAMES)
def test_a_ruleset_is_the_same_as_itself(name: str) -> None:
    text = (GOLDENS / name).read_text()
    assert loaded_rules.difference(text, text) == ""


@pytest.mark.parametrize("name", NAMES)
def test_every_single_rule_that_is_missing_or_added_shows(name: str) -> None:
    text = (GOLDENS / name).read_text()
    lines = text.splitlines()
    rules = [at for at, line in enumerate(lines) if re.match(r"\t\t[^#\t]", line)]
    assert len(rules) > 15
    for at in rules:
        assert loaded_rules.difference(text, "\n".join(lines[:at] + lines[at + 1 :])), lines[at]
        assert loaded_rules.difference(text, "\n".join([*lines[:at], "\t\taccept", *lines[at:]])) == "accept"


def test_spellings_of_one_rule_are_one() -> None:
    planned = (
        "table inet appliance {\n\ttcp flags & (fin | syn | rst | ack) != syn drop\n\tip saddr { 10.0.0.1, 9.0.0.1 }\n}"
    )
    listed = "table inet appliance {\n\ttcp flags != syn / fin,syn,rst,ack drop\n\n\tip saddr { 9.0.0.1, 10.0.0.1 }\n}"
    assert loaded_rules.difference(planned, listed) == ""
    assert loaded_rules.difference(planned, listed.replace("!= syn", "!= ack")).startswith("tcp flags")
    assert loaded_rules.difference(planned, "") == "missing: table inet appliance {"
