"""Claims about ``appliance keys``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance.cli.main import app
from appliance.errors import KeyStoreError

LIMITS = {"requests_per_minute": 60, "tokens_per_minute": 9000, "concurrent_requests": 4, "tokens_per_day": 100_000}


def keys(state_dir: Path, *words: str) -> Any:
    result = CliRunner().invoke(
        app, ["keys", *words, "--state-dir", str(state_dir), "--json"], catch_exceptions=False, prog_name="appliance"
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_key_is_made_with_its_rights_and_limits(state_dir: Path) -> None:
    options = [word for name, value in LIMITS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    made = keys(
        state_dir, "create", "--name", "grader", "--model", "tutor", "--model", "gpt-4", "--alias", "tutor=",
        "--alias", "gpt-4=llama", "--priority", "batch", "--expires-days", "30", *options,
    )  # fmt: skip
    assert made["key"].startswith(f"sk-appliance-{made['key_id']}-")
    assert made["limits"] == LIMITS
    assert (made["models"], made["aliases"], made["priority"]) == (
        ["gpt-4", "tutor"],
        {"tutor": "", "gpt-4": "llama"},
        "batch",
    )
    (listed,) = keys(state_dir, "list")
    assert listed == {name: value for name, value in made.items() if name != "key"}


def test_a_key_made_without_options_has_no_limits(state_dir: Path) -> None:
    made = keys(state_dir, "create", "--name", "app")
    assert set(made["limits"].values()) == {None}
    assert (made["models"], made["aliases"], made["priority"], made["expires_at"]) == (None, {}, "interactive", None)


def test_rotation_shows_the_new_key_and_dates_the_old_one(state_dir: Path) -> None:
    old = keys(state_dir, "create", "--name", "app", "--requests-per-minute", "5")
    new = keys(state_dir, "rotate", old["key_id"], "--overlap-hours", "2")
    assert new["key"] != old["key"]
    assert new["limits"] == old["limits"]
    listed = {key["key_id"]: key for key in keys(state_dir, "list")}
    assert listed[old["key_id"]]["replaced_by"] == new["key_id"]
    assert listed[old["key_id"]]["expires_at"] is not None
    assert listed[new["key_id"]]["expires_at"] is None


def test_change_takes_a_limit_away_with_0_and_leaves_what_is_not_named(state_dir: Path) -> None:
    made = keys(state_dir, "create", "--name", "app", "--requests-per-minute", "5", "--tokens-per-day", "900")
    changed = keys(state_dir, "change", made["key_id"], "--requests-per-minute", "0", "--concurrent-requests", "3")
    wanted = {**made["limits"], "requests_per_minute": None, "concurrent_requests": 3}
    assert changed["limits"] == wanted
    assert keys(state_dir, "list")[0]["limits"] == wanted


def test_change_of_nothing_is_refused(state_dir: Path) -> None:
    made = keys(state_dir, "create", "--name", "app")
    with pytest.raises(KeyStoreError):
        keys(state_dir, "change", made["key_id"])


def test_a_whole_key_may_stand_for_its_id_and_is_not_repeated(state_dir: Path) -> None:
    made = keys(state_dir, "create", "--name", "app")
    revoked = keys(state_dir, "revoke", made["key"])
    assert (revoked["key_id"], revoked["state"]) == (made["key_id"], "revoked")
    assert made["key"] not in json.dumps(revoked)


def test_the_list_for_people_says_what_a_key_may_do_and_takes_no_name_for_markup(state_dir: Path) -> None:
    keys(state_dir, "create", "--name", "[bold]app", "--requests-per-minute", "5", "--priority", "batch")
    shown = CliRunner().invoke(app, ["keys", "list", "--state-dir", str(state_dir)], env={"COLUMNS": "200"}).stdout
    assert "[bold]app" in shown
    assert "batch; 5 requests/min" in shown


@pytest.mark.parametrize(
    "options",
    [
        ["--requests-per-minute", "0"],
        ["--tokens-per-day", "-5"],
        ["--concurrent-requests", "many"],
        ["--alias", "gpt-4"],
        ["--alias", "=m"],
        ["--priority", "urgent"],
        ["--expires-days", "nan"],
    ],
)
def test_an_option_that_makes_no_sense_makes_no_key(state_dir: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["keys", "create", "--name", "app", "--state-dir", str(state_dir), *options])
    assert result.exit_code == 2
    assert list(state_dir.iterdir()) == []


def test_an_unknown_key_is_a_known_failure(state_dir: Path) -> None:
    keys(state_dir, "create", "--name", "app")
    for command in ("rotate", "revoke"):
        with pytest.raises(KeyStoreError):
            keys(state_dir, command, "abcdefgh")


def test_the_list_for_people_shows_a_keys_aliases(state_dir: Path) -> None:
    keys(state_dir, "create", "--name", "app", "--alias", "gpt-4=llama", "--alias", "tutor=")
    shown = CliRunner().invoke(app, ["keys", "list", "--state-dir", str(state_dir)], env={"COLUMNS": "200"})
    assert "alias gpt-4=llama; alias tutor=(the active model)" in shown.stdout
