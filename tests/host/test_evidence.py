"""What the installed machine proves about itself: the key it hands out, the report of the controls, the daily statement."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host import machine as machines
from tests.host.conftest import Installed, failed_units

UPKEEP = "/var/lib/appliance/upkeep"
OUT = "/root/evidence"
#: What no machine in a container can hold.
NOT_IN_A_CONTAINER = {
    "host.clock": "it has the clock of the machine it runs on, and may not set it: chrony does not run"
}
#: What a kit without an engine and a model cannot show.
OF_AN_ENGINE = {
    "bundle.files",
    "bundle.signature",
    "egress.privacy_test",
    "engine.caps",
    "engine.code",
    "engine.grammar",
    "engine.network",
    "engine.no_content_logged",
    "engine.offline",
    "engine.prefix_hash",
    "engine.serialization",
    "engine.socket",
    "engine.template",
    "software.versions",
}


@pytest.fixture(scope="module")
def public_key(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The machine's key as the play printed it, for whoever installs to keep."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s\\n]+-----END PUBLIC KEY-----", installed.first.out)
    assert found, installed.first.out[-3000:]
    lines = [line.strip() for line in found[0].replace("\\n", "\n").splitlines()]
    path = tmp_path_factory.mktemp("handed-out") / "machine-key.pub.pem"
    path.write_text("\n".join(line for line in lines if line) + "\n", encoding="ascii")
    return path


@pytest.fixture(scope="module")
def evidence(installed: Installed) -> dict[str, dict[str, str]]:
    """The report, after the first privacy test that the play began: results by control."""
    wait_for_privacy_test(installed)
    installed.machine.run("appliance", "report", "--evidence", "--out", OUT, timeout=300)
    report = json.loads(installed.host.file(f"{OUT}/evidence.json").content_string)
    return {one["key"]: one for one in report["controls"]}


def wait_for_privacy_test(installed: Installed) -> None:
    def is_done() -> bool:
        state = installed.machine.run("systemctl", "is-active", "appliance-privacy-test.service").out.strip()
        return state not in {"active", "activating", "reloading"}

    if installed.kit.variant != "gateway":
        machines.until(is_done, 900, lambda: "the first privacy test does not end")


def copied(installed: Installed, path: str, into: Path) -> Path:
    """A file of the machine and its signature, as an auditor takes them away."""
    for name in (path, f"{path}.sig"):
        shutil.copy(installed.machine.root / name.lstrip("/"), into)
    return into / Path(path).name


def verify(file: Path, public_key: Path) -> subprocess.CompletedProcess[str]:
    """Check a signature elsewhere, by the command for it."""
    command = [sys.executable, "-m", "appliance", "report", "--state-dir", str(file.parent / "none")]
    command += ["--verify-statement", str(file), "--machine-key", str(public_key)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def newest_statement(installed: Installed) -> str:
    return str(sorted(installed.host.file(f"{UPKEEP}/statements").listdir())[-2])  # the last is its .sig


def test_key_that_the_play_hands_out_is_the_machines(installed: Installed, public_key: Path) -> None:
    assert installed.host.file(f"{UPKEEP}/machine-key.pub.pem").content_string == public_key.read_text(encoding="ascii")
    private = installed.host.file(f"{UPKEEP}/machine-key.pem")
    assert (private.user, private.mode) == ("appliance-gateway", 0o600)


def test_every_control_that_can_hold_here_holds(installed: Installed, evidence: dict[str, dict[str, str]]) -> None:
    not_held = {key: one["result"] for key, one in evidence.items() if one["result"] != "PASS"}
    excused = set(NOT_IN_A_CONTAINER) | (OF_AN_ENGINE if installed.kit.variant == "gateway" else set())
    assert set(not_held) <= excused, {key: evidence[key]["reason"] for key in set(not_held) - excused}
    assert {key for key, result in not_held.items() if result == "FAIL"} <= set(NOT_IN_A_CONTAINER)
    assert len(evidence) >= 40


def test_report_is_signed_by_the_key_that_was_handed_out(
    installed: Installed, evidence: dict[str, dict[str, str]], public_key: Path, tmp_path: Path
) -> None:
    assert evidence
    report = copied(installed, f"{OUT}/evidence.json", tmp_path)
    assert verify(report, public_key).returncode == 0
    report.write_bytes(report.read_bytes().replace(b'"UNKNOWN"', b'"PASS"', 1).replace(b'"FAIL"', b'"PASS"', 1) + b" ")
    assert verify(report, public_key).returncode == 65


def test_statement_is_signed_in_its_sandbox_and_holds(installed: Installed, public_key: Path, tmp_path: Path) -> None:
    if installed.kit.variant == "gateway":
        pytest.skip("the kit has no engine: no statement is made")
    wait_for_privacy_test(installed)
    installed.machine.check("systemctl", "start", "appliance-statement.service", timeout=300)
    statement = copied(installed, f"{UPKEEP}/statements/{newest_statement(installed)}", tmp_path)
    assert json.loads(statement.read_bytes())["holds"] is True
    accepted = verify(statement, public_key)
    assert (accepted.returncode, "the engine had no network" in accepted.stdout) == (0, True), accepted.stderr


def test_statement_without_an_engine_is_not_made_and_would_not_hold(
    installed: Installed, public_key: Path, tmp_path: Path
) -> None:
    if installed.kit.variant != "gateway":
        pytest.skip("the kit has an engine: a statement is made every day")
    assert not installed.host.service("appliance-statement.timer").is_enabled
    assert installed.machine.run("systemctl", "start", "appliance-statement.service", timeout=300).rc == 1
    statement = copied(installed, f"{UPKEEP}/statements/{newest_statement(installed)}", tmp_path)
    installed.machine.check("systemctl", "reset-failed", "appliance-statement.service")
    values = json.loads(statement.read_bytes())
    odd = {key for key, control in values["controls"].items() if control["result"] != "PASS"}
    assert (values["holds"], odd) == (False, {"engine.network", "egress.privacy_test"})
    assert verify(statement, public_key).returncode == 0


def test_statement_with_one_changed_byte_is_refused(installed: Installed, public_key: Path, tmp_path: Path) -> None:
    statement = copied(installed, f"{UPKEEP}/statements/{newest_statement(installed)}", tmp_path)
    openssl = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        str(public_key),
        "-signature",
        f"{statement}.sig",
        str(statement),
    ]
    assert subprocess.run(openssl, capture_output=True, check=False).returncode == 0
    content = bytearray(statement.read_bytes())
    content[content.index(b'"packets": 0') + len(b'"packets": ')] = ord("1")
    statement.write_bytes(content)
    refused = verify(statement, public_key)
    assert (refused.returncode, "it was changed, or another box wrote it" in refused.stderr) == (65, True)
    assert subprocess.run(openssl, capture_output=True, check=False).returncode != 0


def test_looking_left_nothing_failed(installed: Installed) -> None:
    assert failed_units(installed.machine) == set()
