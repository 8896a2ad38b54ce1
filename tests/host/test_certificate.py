"""The academy's own certificate in place of the box's, and the way back."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.deploy.test_playbook_filters import academy
from tests.host.conftest import NAME, PORT, Installed, changes, play
from tests.host.machine import ADDRESS
from tests.host.test_refusals import ACADEMY

TLS = "etc/appliance/tls"
#: The part of the play that has to do with it.
PART = ("--tags", "tls,start,verify")


def page(installed: Installed, authority: Path) -> str:
    """What an app is answered that trusts this CA, and knows the box by its name."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", str(authority)]
    command += ["--resolve", f"{NAME}:{PORT}:{ADDRESS}", f"https://{NAME}:{PORT}/health/live"]
    done = subprocess.run(installed.machine.beside(*command), capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


def test_academys_certificate_is_served(installed: Installed) -> None:
    boxs_own = installed.machine.root / TLS / "ca.crt"
    before = boxs_own.read_bytes()
    files = academy(installed.machine.root / "root/academy", name=NAME)
    result = play(installed.machine, *PART, **ACADEMY)
    assert result.rc == 0, result.out[-4000:]
    assert page(installed, files.authority) == '{"status":"live"}'
    assert boxs_own.read_bytes() == files.authority.read_bytes() != before
    assert not (installed.machine.root / TLS / "ca.key").exists()
    assert changes(play(installed.machine, *PART, **ACADEMY)) == []


def test_way_back_is_to_a_new_ca_of_the_box(installed: Installed) -> None:
    result = play(installed.machine, *PART)
    assert result.rc == 0, result.out[-4000:]
    assert page(installed, installed.machine.root / TLS / "ca.crt") == '{"status":"live"}'
    assert changes(play(installed.machine, *PART)) == []
