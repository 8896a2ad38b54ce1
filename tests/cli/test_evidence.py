"""``appliance report --evidence``, ``--egress`` and ``--verify-statement``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner, Result

from appliance.cli import evidence, machine_key, this_host
from appliance.cli.main import app
from appliance.core import egress_statement
from appliance.errors import StatementUnusable
from appliance.health.host import Answer
from tests.health.controls import world as worlds
from tests.health.controls.world import World


@pytest.fixture(autouse=True)
def _no_log_beyond_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be the runner's standard error, which ends with the command."""
    monkeypatch.setattr("appliance.logs.configure", lambda _settings: None)
    monkeypatch.setattr("appliance.gateway.failures._log", Mock(is_enabled_for=lambda _level: False))


@pytest.fixture
def world(state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A box on which every control passes, and that the command looks at."""
    made = worlds.make(state_dir, tmp_path)
    (made.root / "proc/sys/kernel/random").mkdir()
    (made.root / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")
    host = made.host
    real = this_host.look
    monkeypatch.setattr("appliance.cli.state.load", lambda _state: made.tree)

    def look(tree: Any) -> Any:
        monkeypatch.setattr(this_host, "look", real)
        try:
            return host()
        finally:
            monkeypatch.setattr(this_host, "look", look)

    monkeypatch.setattr(this_host, "look", look)
    return made


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_the_report_is_written_signed_and_good(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("--evidence", "--out", out)
    assert result.exit_code == 0, result.output
    assert "40 PASS, 0 FAIL, 0 UNKNOWN, 0 NOT APPLICABLE" in result.stdout
    assert {path.name for path in out.iterdir()} == {
        "evidence.json", "evidence.json.sig", "evidence.html", "machine-key.pub.pem",
    }  # fmt: skip
    values = json.loads((out / "evidence.json").read_text())
    assert values["machine_key"] == machine_key.fingerprint(out / "machine-key.pub.pem")
    checked = run("--verify-statement", out / "evidence.json", "--machine-key", out / "machine-key.pub.pem")
    assert checked.exit_code == 0
    assert "signature    right" in checked.stdout


def test_a_control_that_fails_is_exit_status_1_and_one_line(world: World, tmp_path: Path) -> None:
    world.set("audit", retention_days=30)
    result = run("--evidence", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [control["key"] for control in told["controls"] if control["result"] != "PASS"] == ["audit.retention"]


def test_a_statement_is_signed_and_names_the_one_before(world: World) -> None:
    first = json.loads(run("--egress", "--json").stdout)
    folder = world.state / "upkeep" / "statements"
    (file,) = folder.glob("egress-*.json")
    assert first["holds"] is True
    assert first["before_sha256"] == ""
    world.changes["now"] = worlds.NOW + 86_400
    worlds.note(world, "privacy-test.json", at=worlds.NOW + 86_000, canaries_found=0)
    world.answers[worlds.NFT_COUNTERS] = Answer(worlds.counters().text.replace('"packets": 3', '"packets": 5'))
    second = json.loads(run("--egress", "--json").stdout)
    assert second["before_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert second["dropped"]["other"]["packets_since_the_statement_before"] == 2
    assert evidence.verify(file, machine_key.public_path(world.tree)) == first


def test_a_statement_that_does_not_hold_is_exit_status_1_and_still_written(world: World) -> None:
    world.answers[worlds.NFT_COUNTERS] = worlds.counters(engine=2)
    result = run("--egress")
    assert result.exit_code == 1
    assert "cannot be stated that nothing leaves" in result.stdout
    assert "확인할 수 없습니다" in result.stdout
    assert list((world.state / "upkeep" / "statements").glob("egress-*.json.sig"))


def test_the_same_day_is_stated_again_in_place_and_not_chained_to_itself(world: World) -> None:
    run("--egress")
    assert json.loads(run("--egress", "--json").stdout)["before_sha256"] == ""
    assert len(list((world.state / "upkeep" / "statements").glob("egress-*.json"))) == 1


@pytest.mark.parametrize("change", ["content", "signature", "key"])
def test_a_statement_that_was_changed_is_refused(world: World, tmp_path: Path, change: str) -> None:
    run("--egress")
    (file,) = (world.state / "upkeep" / "statements").glob("egress-*.json")
    public = machine_key.public_path(world.tree)
    if change == "content":
        file.write_text(file.read_text().replace("true", "false"))
    elif change == "signature":
        file.with_name(f"{file.name}.sig").write_bytes(b"nonsense")
    else:
        other = world.tree.model_copy(update={"state_dir": tmp_path / "other"})
        machine_key.signer(other)
        public = machine_key.public_path(other)
    result = run("--verify-statement", file, "--machine-key", public)
    assert isinstance(result.exception, StatementUnusable)
    assert "Do not rely on it" in str(result.exception)


def test_a_signed_file_of_another_kind_is_no_statement(world: World, tmp_path: Path) -> None:
    file = tmp_path / "note.json"
    file.write_text('{"kind": "appliance backup note"}')
    (tmp_path / "note.json.sig").write_bytes(machine_key.signer(world.tree)(file.read_bytes()))
    with pytest.raises(StatementUnusable, match="is signed, and is no statement"):
        evidence.verify(file, machine_key.public_path(world.tree))
    with pytest.raises(StatementUnusable, match="cannot be read"):
        evidence.verify(tmp_path / "absent", machine_key.public_path(world.tree))


def test_the_command_wants_to_be_told_what_to_report() -> None:
    assert run().exit_code == 2
    assert run("--egress", "--verify-audit").exit_code == 2
    assert run("--evidence").exit_code == 2


def test_a_statement_rests_on_controls_that_there_are() -> None:
    from appliance.core.controls import BY_KEY

    assert set(egress_statement.KEYS) <= set(BY_KEY)
