"""``appliance upkeep`` as a timer runs it and as a person reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from appliance import settings
from appliance.cli.main import app
from appliance.core.audit_chain import Record
from appliance.core.egress import Accounts, ruleset
from appliance.core.upkeep import CHECKS, FAMILIES
from appliance.errors import StateUnusable
from appliance.gateway.record_store import RecordStore
from tests.fakes.network import namespace
from tests.health.test_certificate import pem
from tests.promtool import complaints

#: Runs a command where the users of ``$0`` exist, which the rules name; a mount of its own, gone with it.
AS_ON_THE_BOX = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"')


@pytest.fixture
def box(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with everything upkeep looks at, and the settings that name the rest."""
    with closing(RecordStore(state_dir / "records.sqlite3")) as store:
        store.append([Record("whole", 1_767_268_800_000, f"r{n}", app="homework", method="POST") for n in range(9)])
    notes = state_dir / "upkeep"
    notes.mkdir()
    (notes / "backup.json").write_text('{"format": 1, "at": 1795400000, "ok": true, "size_bytes": 4096}')
    (notes / "privacy-test.json").write_text('{"format": 1, "at": 1795400000, "ok": true, "canaries_found": 0}')
    for name in ("server", "ca"):
        (state_dir / f"{name}.pem").write_bytes(pem(400))
    monkeypatch.setenv("APPLIANCE_GATEWAY__TLS_CERTIFICATE_PATH", str(state_dir / "server.pem"))
    monkeypatch.setenv("APPLIANCE_GATEWAY__TLS_KEY_PATH", str(state_dir / "server.key"))
    monkeypatch.setenv("APPLIANCE_UPKEEP__CA_CERTIFICATE_PATH", str(state_dir / "ca.pem"))
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    (state_dir / "tracking.log").write_text(
        f"{now} 192.168.20.1     2     -3.541      0.075 -8.621e-06 N  1  2.940e-03 -2.084e-04  1.534e-02  3.472e-04  8.304e-03\n"
    )
    monkeypatch.setenv("APPLIANCE_UPKEEP__CLOCK_LOG_PATH", str(state_dir / "tracking.log"))
    monkeypatch.setenv("APPLIANCE_BACKUP__DIRECTORY", str(state_dir / "backups"))
    monkeypatch.setenv("APPLIANCE_BACKUP__RECIPIENT", f"age1{'q' * 58}")
    monkeypatch.setenv("APPLIANCE_NETWORK__LAN_SUBNETS", '["192.168.10.0/24"]')
    return state_dir


@pytest.fixture
def inside() -> Iterator[tuple[str, ...]]:
    with namespace() as words:
        yield words


def rules() -> str:
    """As the settings of this moment give them."""
    return ruleset(settings.load().traffic)


def upkeep(state_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["upkeep", "--state-dir", str(state_dir), *options])


def flip(state_dir: Path) -> None:
    path = state_dir / "records.sqlite3"
    content = path.read_bytes()
    place = content.index(b"homework")
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def series(path: Path) -> dict[str, float]:
    """Name, and the value of the label behind a slash, to the number."""
    return {
        "/".join((sample.name.removeprefix("appliance_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def check(result: Result, name: str) -> Any:
    return next(check for check in json.loads(result.stdout)["checks"] if check["check"] == name)


@pytest.mark.process
def test_whole_box_has_every_series_and_promtool_has_nothing_to_say(box: Path, inside: tuple[str, ...]) -> None:
    users = box / "passwd"
    names = (Accounts().engine, Accounts().gateway, Accounts().exporter)
    users.write_text(
        Path("/etc/passwd").read_text()
        + "".join(f"{name}:x:{6100 + n}:{6100 + n}::/:\n" for n, name in enumerate(names))
    )
    there = (*inside, *AS_ON_THE_BOX, str(users))
    subprocess.run([*there, "nft", "-f", "-"], input=rules(), text=True, check=True)
    textfile = box / "appliance.prom"
    subprocess.run(
        [*there, sys.executable, "-m", "appliance", "upkeep", "--state-dir", box, "--textfile", textfile],
        check=True, capture_output=True,
    )  # fmt: skip
    found = series(textfile)
    assert {name.split("/")[0] for name in found} == {family.name.removeprefix("appliance_") for family in FAMILIES}
    assert {name: value for name, value in found.items() if name.startswith("upkeep_check_success")} == {
        f"upkeep_check_success/{name}": 1 for name in CHECKS
    }
    assert (found["audit_intact"], found["audit_records"], found["egress_rules_loaded"]) == (1, 9, 1)
    assert complaints(textfile.read_bytes()) == []


def test_textfile_may_be_read_by_all_and_is_replaced_in_one_step(box: Path) -> None:
    folder = box / "node-exporter"
    folder.mkdir()
    textfile = folder / "appliance.prom"
    old_mask = os.umask(0o077)
    try:
        upkeep(box, "--textfile", str(textfile))
        first = textfile.stat()
        upkeep(box, "--textfile", str(textfile))
    finally:
        os.umask(old_mask)
    assert textfile.stat().st_mode & 0o777 == 0o644
    assert textfile.stat().st_ino != first.st_ino
    assert [entry.name for entry in folder.iterdir()] == ["appliance.prom"]


def test_flipped_byte_of_the_audit_is_told_and_is_no_failure_of_the_command(box: Path) -> None:
    flip(box)
    textfile = box / "appliance.prom"
    result = upkeep(box, "--textfile", str(textfile))
    assert result.exit_code == 0
    assert "이상 BAD" in result.stdout
    assert "BROKEN" in result.stdout
    assert series(textfile)["audit_intact"] == 0
    assert series(textfile)["upkeep_check_success/audit"] == 1
    assert complaints(textfile.read_bytes()) == []


def test_result_of_the_report_is_used_until_it_is_old(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(app, ["report", "--verify-audit", "--state-dir", str(box)]).exit_code == 0
    flip(box)
    assert check(upkeep(box, "--json"), "audit")["findings"][0]["state"] == "good"
    monkeypatch.setenv("APPLIANCE_UPKEEP__AUDIT_INTERVAL_SECONDS", "0.000001")
    assert check(upkeep(box, "--json"), "audit")["findings"][0]["state"] == "bad"


def test_report_that_finds_it_broken_is_told_by_the_next_upkeep(box: Path) -> None:
    upkeep(box)
    flip(box)
    assert CliRunner().invoke(app, ["report", "--verify-audit", "--state-dir", str(box)]).exit_code == 1
    finding = check(upkeep(box, "--json"), "audit")["findings"][0]
    assert finding["state"] == "bad"
    assert "record " in finding["text"]["english"]


def test_table_names_every_check_in_korean_and_english(box: Path) -> None:
    lines = upkeep(box).stdout.splitlines()
    assert lines[0].split() == ["상태", "state", "항목", "check", "내용", "what"]
    for subject in ("감사 기록 audit", "백업 backup", "서버 인증서 server certificate", "CA 인증서 CA certificate"):
        (line,) = [line for line in lines if subject in line]
        assert " / " in line
    assert all(any(subject in line for line in lines) for subject in ("외부 전송 차단", "개인정보 시험"))
    assert all("." not in line.split("  ")[0] for line in lines)


def test_json_has_what_the_table_has_and_the_series(box: Path) -> None:
    told = json.loads(upkeep(box, "--json").stdout)
    assert [check["check"] for check in told["checks"]] == list(CHECKS)
    certificates = told["checks"][2]
    assert [finding["subject"]["korean"] for finding in certificates["findings"]] == ["서버 인증서", "CA 인증서"]
    assert [metric["labels"] for metric in certificates["metrics"]] == [
        {"certificate": "server"},
        {"certificate": "ca"},
    ]
    assert all(
        set(finding["text"]) == {"english", "korean"} for check in told["checks"] for finding in check["findings"]
    )


def test_fresh_box_gives_no_series_of_what_it_has_not(state_dir: Path) -> None:
    textfile = state_dir / "appliance.prom"
    assert upkeep(state_dir, "--textfile", str(textfile)).exit_code == 0
    found = series(textfile)
    assert {name for name in found if not name.startswith(("upkeep_", "egress_"))} == {"backup_configured"}
    assert found["backup_configured"] == 0
    assert complaints(textfile.read_bytes()) == []


def test_textfile_that_cannot_be_written_is_one_line_with_the_remedy(state_dir: Path) -> None:
    result = upkeep(state_dir, "--textfile", str(state_dir / "missing" / "appliance.prom"))
    assert isinstance(result.exception, StateUnusable)
    assert "--textfile" in result.exception.remedy
