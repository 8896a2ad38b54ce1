"""docs/container.md: its tables are what the files say, and every command, setting and file in it exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from appliance.cli.main import app
from appliance.settings import GatewaySettings, Settings
from tests.contracts.sandbox_mirror import DEPLOY, ROOT, SERVICES, WEAKER, compose

PAGE = (ROOT / "docs" / "container.md").read_text(encoding="utf-8")
FILES = sorted(DEPLOY.glob("compose*.yaml"))
BASE = compose()


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    (_, below) = re.split(rf"^#+ {re.escape(heading)}.*$", PAGE, maxsplit=1, flags=re.MULTILINE)
    table: list[str] = []
    for line in below.splitlines():
        if line.startswith("|"):
            table.append(line)
        elif table:
            break
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def blocks() -> Iterator[str]:
    """Lines of code, those that go on with a backslash as one, and the commands in the tables."""
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`(docker compose [^`]+)`", PAGE)


def commands() -> list[list[str]]:
    """Words that the image's entrypoint is given, or that ``exec`` runs, in each command of the page."""
    found = []
    for line in blocks():
        words = shlex.split(line.split("  #")[0].split(" · ")[0], comments=True) if "docker compose" in line else []
        if "exec" in words and "appliance" in words:
            found.append(words[words.index("appliance") + 1 :])
        if "run" in words:
            at = min((words.index(name) for name in ("operator", "gateway", "backup") if name in words), default=None)
            if at is not None and words[at + 1 :]:
                found.append(words[at + 1 :])
    return found


def test_table_of_what_is_weaker_is_what_the_comparison_found() -> None:
    told = [
        (service.strip(), name)
        for names, services, *_ in rows("What is less strong than the hardened host")
        for name in re.findall(r"`(\w+)`", names)
        for service in services.split(",")
    ]
    assert sorted(told) == sorted((service, name) for service in SERVICES for name in WEAKER[service])


def test_whatever_is_weaker_has_its_reason() -> None:
    table = rows("What is less strong than the hardened host")
    assert {len(row) for row in table} == {4}
    assert [row for row in table if any(len(cell) < 5 for cell in (row[0], row[2], row[3]))] == []


def test_variables_are_those_that_the_files_use_with_their_defaults() -> None:
    used = {
        match
        for file in FILES
        for match in re.findall(r"\$\{(APPLIANCE_\w+):-([^}]*)\}", file.read_text(encoding="utf-8"))
    }
    told = {re.findall(r"`([^`]+)`", row[0])[0]: re.findall(r"`([^`]+)`", row[1])[0] for row in rows("On a GPU host")}
    assert told.keys() == {name for name, _ in used}
    cpu = {("APPLIANCE_IMAGE", "appliance:cpu")}
    assert set(told.items()) == used - cpu


def test_services_and_their_users_are_those_of_the_file() -> None:
    table = {re.findall(r"`(\w+)`", row[0])[0]: row for row in rows("Containers")}
    assert table.keys() == BASE["services"].keys()
    for name, row in table.items():
        stated = BASE["services"][name]
        assert row[1] == stated["user"].split(":")[0]
        assert ("none" in row[2]) == (stated.get("network_mode") == "none")
        named = [one.split(":") for one in stated["volumes"] if isinstance(one, str)]
        written = {words[0] for words in named if words[0] in BASE["volumes"] and words[-1] != "ro"}
        assert set(re.findall(r"`(\w+)`", row[3])) == written


def test_commands_exist() -> None:
    found = commands()
    assert len(found) > 10
    for words in found:
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_restore_into_new_volumes_is_told_whose_backup_it_may_take() -> None:
    (restore,) = [words for words in commands() if words[:2] == ["backup", "restore"]]
    assert restore[restore.index("--machine-key") + 1].startswith("/safe/")
    assert ["machine-key", ">", "machine-key.pub.pem"] in commands()


def test_files_are_named_once_for_all_docker_commands() -> None:
    """A command that names them itself is one that the next command undoes."""
    assert [line for line in blocks() if "docker compose" in line and re.search(r" -f .*\.yaml", line)] == []
    files = {name for line in blocks() if "COMPOSE_FILE=" in line for name in re.findall(r"compose\.?\w*\.yaml", line)}
    assert files == {"compose.yaml", "compose.tls.yaml"}


def test_settings_and_variables_exist() -> None:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    for section, name in re.findall(r"`(gateway|engine|backup|network|bundles)\.(\w+)`", PAGE):
        assert name in sections[section].model_fields, f"{section}.{name}"  # type: ignore[union-attr]
    assert "gateway.allowed_hosts" in PAGE
    assert "client_max_body_size 1m" in PAGE
    assert GatewaySettings().max_body_bytes == 1024**2


def test_services_of_commands_and_files_exist() -> None:
    for service in re.findall(r"docker compose (?:exec|logs --follow|kill -s HUP) (\w+)", PAGE):
        assert service in BASE["services"]
    for name in re.findall(r"\bcompose(?:\.\w+)?\.yaml", PAGE):
        assert (DEPLOY / name).exists() or name == "compose.override.yaml"
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists()
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line[:1] == "#"
    }
    assert [anchor for anchor in re.findall(r"\]\(#([^)]+)", PAGE) if anchor not in headings] == []
    assert (ROOT / "docs" / "container.md").name in (ROOT / "README.md").read_text(encoding="utf-8")


def test_limits_that_are_shown_are_those_of_the_gateway() -> None:
    gateway = BASE["services"]["gateway"]
    assert gateway["mem_limit"] == "1g"
    shown = f"`{1024**3} {gateway['pids_limit']} {gateway['oom_score_adj']}`"
    assert rows("How to check")[-1][2] == shown
