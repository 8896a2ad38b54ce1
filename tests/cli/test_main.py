"""Every command helps itself, and a failure leaves as one line with its remedy."""

from __future__ import annotations

import re

import click
import pytest
import typer.main
from typer.testing import CliRunner

from appliance.cli import main
from appliance.errors import NotEnoughDisk


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found += commands(command, *path, name) if inner else [(*path, name)]  # type: ignore[arg-type]
    return found


COMMANDS = commands(typer.main.get_command(main.app))  # type: ignore[arg-type]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main.app, [*command, "--help"])
    assert result.exit_code == 0
    plain = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", result.output))
    assert f"Example: appliance {' '.join(command)}" in plain


def test_known_failure_is_one_line_with_its_remedy_and_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise NotEnoughDisk

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as left:
        main.main()
    told = capsys.readouterr().err
    assert left.value.code == NotEnoughDisk.exit_code
    assert told.startswith("error: ")
    assert NotEnoughDisk.remedy in told
    assert told.count("\n") == 1


def test_interruption_is_the_shells_status_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", interrupt)
    with pytest.raises(SystemExit) as left:
        main.main()
    assert left.value.code == 130
