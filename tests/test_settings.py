"""The settings: where they come from, which wins, and what a mistake says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance import settings
from appliance.errors import SettingsInvalid


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "appliance.toml"
    path.write_text('[gateway]\nport = 9001\nallowed_hosts = ["box.lan"]\n[engine]\ndevice = "cpu"\n', encoding="utf-8")
    monkeypatch.setenv(settings.FILE_VARIABLE, str(path))
    return path


@pytest.fixture(autouse=True)
def _no_system_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SYSTEM_FILE", tmp_path / "absent.toml")
    monkeypatch.delenv("APPLIANCE_GATEWAY__ADMIN_PORT")


def refusal() -> SettingsInvalid:
    with pytest.raises(SettingsInvalid) as caught:
        settings.load()
    return caught.value


def test_defaults_stand_where_nothing_is_set() -> None:
    loaded = settings.load()
    assert loaded.gateway.port == 8080
    assert loaded.socket_path == Path("/var/lib/appliance/run/engine.sock")
    assert loaded.model_dir == Path("/var/lib/appliance/active")


@pytest.mark.usefixtures("file")
def test_file_wins_over_defaults() -> None:
    loaded = settings.load()
    assert (loaded.gateway.port, loaded.gateway.allowed_hosts) == (9001, ("box.lan",))
    assert loaded.gateway.admin_port == 8081


@pytest.mark.usefixtures("file")
def test_environment_wins_over_file_and_leaves_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", "9002")
    loaded = settings.load()
    assert loaded.gateway.port == 9002
    assert loaded.gateway.allowed_hosts == ("box.lan",)
    assert loaded.engine.device == "cpu"


def test_system_file_is_read_where_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "system.toml"
    path.write_text('state_dir = "/srv/appliance"\n', encoding="utf-8")
    monkeypatch.setattr(settings, "SYSTEM_FILE", path)
    assert settings.load().state_dir == Path("/srv/appliance")


def test_command_line_state_dir_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APPLIANCE_STATE_DIR", "/srv/elsewhere")
    assert settings.load(state_dir=tmp_path).state_dir == tmp_path


def test_lists_and_tables_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ALLOWED_HOSTS", '["a", "b"]')
    monkeypatch.setenv("APPLIANCE_GATEWAY__ALIASES", '{"gpt-4": "smollm"}')
    loaded = settings.load().gateway
    assert loaded.allowed_hosts == ("a", "b")
    assert loaded.aliases == {"gpt-4": "smollm"}


def test_list_that_is_not_json_is_refused_with_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ALLOWED_HOSTS", "box.lan")
    error = refusal()
    assert "JSON" in error.message
    assert '["a", "b"]' in error.remedy


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("APPLIANCE_GATEWAY__PROT", "APPLIANCE_GATEWAY__PORT"),
        ("APPLIANCE_STATEDIR", "APPLIANCE_STATE_DIR"),
        ("APPLIANCE_STATE_DIR__X", "APPLIANCE_STATE_DIR"),
        ("APPLIANCE_ZZZ", "docs/settings.md"),
    ],
)
def test_unknown_variable_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "1")
    error = refusal()
    assert name in error.message
    assert hint in error.remedy


def test_entry_of_a_table_is_not_an_unknown_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ALIASES__TUTOR", "smollm")
    assert settings.load().gateway.aliases["tutor"] == "smollm"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[gateway]\nprot = 1\n", "Did you mean gateway.port?"),
        ("surprise = 1\n", "There is no setting surprise."),
        ('[gateway]\nport = "high"\n', "gateway.port is not valid"),
        ("[gateway]\nport = 70000\n", "gateway.port is not valid"),
        ('[engine]\ndevice = "tpu"\n', "engine.device is not valid"),
        ("gateway = 3\n", "gateway is not valid"),
        ('_env_file = "x"\n', "There is no setting _env_file."),
        ("[gateway\n", "is not valid TOML"),
    ],
)
def test_mistake_in_the_file_is_named(file: Path, text: str, part: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert part in refusal().message


def test_two_listeners_on_one_port_are_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_PORT", "8080")
    assert "needs one of its own" in refusal().message
    monkeypatch.setenv("APPLIANCE_GATEWAY__HOST", "192.0.2.1")
    assert settings.load().gateway.admin_port == 8080


def test_weight_of_an_app_may_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__APP_WEIGHTS__TUTOR", "2")
    assert settings.load().gateway.app_weights == {"tutor": 2.0}


def test_wrong_type_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", "high")
    assert "gateway.port is not valid" in refusal().message


def test_missing_file_is_refused_and_not_taken_for_an_empty_one(file: Path) -> None:
    file.unlink()
    assert "cannot be read" in refusal().message


def test_system_file_that_this_user_may_not_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(type(Path())):  # type: ignore[misc]
        def is_file(self) -> bool:
            raise PermissionError(13, "Permission denied")

        def read_text(self, *args: object, **kwargs: object) -> str:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings, "SYSTEM_FILE", Locked("/etc/appliance/appliance.toml"))
    error = refusal()
    assert "Permission denied" in error.message
    assert error.remedy == "Run it with sudo."


def test_socket_path_that_no_unix_socket_can_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = "/" + "s" * (settings.MAX_SOCKET_PATH_BYTES - 1)
    monkeypatch.setenv("APPLIANCE_ENGINE__SOCKET_PATH", fits)
    assert str(settings.load().socket_path) == fits
    monkeypatch.setenv("APPLIANCE_ENGINE__SOCKET_PATH", fits + "s")
    error = refusal()
    assert str(settings.MAX_SOCKET_PATH_BYTES) in error.message
    assert "APPLIANCE_ENGINE__SOCKET_PATH" in error.remedy


def test_settings_cannot_be_changed_once_read() -> None:
    loaded = settings.load()
    with pytest.raises(ValueError, match="frozen"):
        loaded.gateway.port = 1


def test_child_sees_only_the_named_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    seen = settings.child_environment(settings.load(state_dir=tmp_path), ("LANG", "NOT_SET_ANYWHERE"))
    assert seen == {"LANG": "C.UTF-8", "APPLIANCE_STATE_DIR": str(tmp_path)}


def test_notify_socket_is_the_service_managers_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert settings.notify_socket() is None
    monkeypatch.setenv("NOTIFY_SOCKET", "@appliance")
    assert settings.notify_socket() == "@appliance"


def test_every_setting_is_described_with_type_and_unit() -> None:
    described = list(settings.describe())
    assert len({setting.variable for setting in described}) == len(described)
    assert [setting.name for setting in described if not setting.text.endswith(".")] == []
    kinds = {setting.name: setting.kind for setting in described}
    assert kinds["gateway.port"] == "integer, 1 to 65535"
    assert kinds["gateway.allowed_hosts"] == "list of text"
    assert kinds["engine.device"] == "one of `auto`, `cuda`, `cpu`"
    assert kinds["engine.socket_path"] == "path"


@pytest.mark.parametrize(
    ("environment", "descriptor"),
    [
        ({}, None),
        ({"LISTEN_PID": "self", "LISTEN_FDS": "1"}, 3),
        ({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, None),
        ({"LISTEN_PID": "self", "LISTEN_FDS": "2"}, None),
    ],
)
def test_listening_socket_is_taken_only_when_it_was_handed_to_this_process(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], descriptor: int | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, str(os.getpid()) if value == "self" else value)
    assert settings.listening_descriptor() == descriptor


@pytest.mark.parametrize("given", ["TLS_CERTIFICATE_PATH", "TLS_KEY_PATH"])
def test_certificate_without_key_or_key_without_certificate_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(f"APPLIANCE_GATEWAY__{given}", "/etc/appliance/tls/file")
    with pytest.raises(SettingsInvalid, match="go together"):
        settings.load()


def test_admin_listener_off_loopback_is_open_to_the_admin_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_PORT", "8081")
    assert settings.load().traffic.admin_ports == (22,)
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_HOST", "10.0.0.5")
    assert settings.load().traffic.admin_ports == (22, 8081)
