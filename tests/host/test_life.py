"""The machine's life: a crash, a reboot, a newer kit, the way back; and what the LAN saw of all this."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kit import seal
from deploy.kit.__main__ import CACHE as KIT_CACHE
from tests.host import machine as machines
from tests.host.client import Client
from tests.host.conftest import PORT, Installed, failed_units, play
from tests.host.machine import ADDRESS, PEER_ADDRESS

REQUESTS = 200
NEWER_PLACE = "/media/newer-kit"


def release(installed: Installed) -> str:
    return installed.machine.check("readlink", "/opt/appliance/venv").strip()


def page(installed: Installed, path: str) -> str:
    authority = installed.machine.root / "etc/appliance/tls/ca.crt"
    command = ["curl", "--silent", "--max-time", "20", "--cacert", str(authority), f"https://{ADDRESS}:{PORT}{path}"]
    return subprocess.run(installed.machine.beside(*command), capture_output=True, text=True, check=False).stdout


def serves(installed: Installed) -> bool:
    what = "live" if installed.kit.variant == "gateway" else "ready"
    return f'"{what}"' in page(installed, f"/health/{what}")


def console(installed: Installed) -> str:
    return installed.machine.run("journalctl", "--no-pager", "-n", "60", "-o", "cat").out


@pytest.fixture(scope="module")
def newer(installed: Installed) -> Iterator[str]:
    """The same kit, newer: one more line, signed anew. It is copied into the machine."""
    copy = machines.CACHE / f"newer-kit-{installed.kit.release}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(installed.kit.directory, copy)
    with (copy / "requirements.txt").open("a", encoding="utf-8") as file:
        file.write("# newer\n")
    seal.write(copy, KIT_CACHE / "signing-key.pem")
    target = installed.machine.root / NEWER_PLACE.lstrip("/")
    shutil.copytree(copy, target)
    yield NEWER_PLACE
    shutil.rmtree(copy)


def test_gateway_is_back_after_a_crash(installed: Installed) -> None:
    before = installed.machine.check("systemctl", "show", "--property=MainPID", "--value", "appliance-gateway").strip()
    installed.machine.check("kill", "-KILL", before)
    machines.until(lambda: serves(installed), 60, lambda: console(installed))
    after = installed.machine.check("systemctl", "show", "--property=MainPID", "--value", "appliance-gateway").strip()
    assert after not in {before, "0"}


def test_engine_is_back_after_a_crash(installed: Installed) -> None:
    if installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine")
    installed.machine.check("pkill", "-KILL", "-u", "appliance-engine", "-f", "EngineCore")
    machines.until(lambda: not serves(installed), 60, lambda: console(installed))
    machines.until(lambda: serves(installed), 600, lambda: console(installed))
    assert installed.machine.check("systemctl", "is-active", "appliance-engine").strip() == "active"


def test_two_hundred_requests_are_answered(installed: Installed, client: Client) -> None:
    if installed.kit.variant == "gateway":
        assert [page(installed, "/health/live") for _ in range(REQUESTS)] == ['{"status":"live"}'] * REQUESTS
    else:
        answers = client.ask(REQUESTS)
        assert len(answers) == REQUESTS
        assert min(answers) > 0


def test_privacy_test_finds_nothing_after_all_this(installed: Installed) -> None:
    if installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine")
    installed.machine.check("systemctl", "start", "appliance-privacy-test.service", timeout=600)
    noted = json.loads(installed.machine.check("cat", "/var/lib/appliance/upkeep/privacy-test.json"))
    assert noted["ok"] is True
    assert noted["canaries_found"] == 0


def test_newer_kit_is_installed_beside_and_put_in_use(installed: Installed, newer: str) -> None:
    before = release(installed)
    result = play(installed.machine, place=newer)
    assert result.rc == 0, result.out[-4000:]
    assert release(installed) != before
    assert serves(installed)
    running = installed.machine.check("systemctl", "show", "--property=MainPID", "--value", "appliance-gateway").strip()
    assert release(installed) in installed.machine.check(
        "readlink", "-f", f"/proc/{running}/cwd", f"/proc/{running}/exe"
    ) + (installed.machine.check("cat", f"/proc/{running}/cmdline"))


def test_older_kit_is_the_way_back(installed: Installed, newer: str) -> None:
    before = release(installed)
    result = play(installed.machine)
    assert result.rc == 0, result.out[-4000:]
    assert release(installed) != before
    assert serves(installed)


def test_box_comes_back_from_a_reboot_by_itself(installed: Installed) -> None:
    installed.machine.reboot()
    machines.until(lambda: serves(installed), 900, lambda: console(installed))
    assert failed_units(installed.machine) == set()


def test_lan_saw_no_packet_for_anybody_else(installed: Installed, capture: Path) -> None:
    def seen(expression: str) -> list[str]:
        return machines.checked(["tcpdump", "-nr", str(capture), expression]).splitlines()

    peers = f"(src host {ADDRESS} and dst host {PEER_ADDRESS}) or (src host {PEER_ADDRESS} and dst host {ADDRESS})"
    assert len(seen(peers)) > REQUESTS
    assert seen(f"not ({peers}) and not arp") == []
    asked = {re.search(r"who-has (\S+?),? ", line)[1] for line in seen("arp") if "who-has" in line}
    assert asked <= {ADDRESS, PEER_ADDRESS}
