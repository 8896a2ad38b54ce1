"""The settings: one typed, frozen tree, read from file and environment.

Later wins: the defaults here, then ``appliance.toml``, then environment
variables (prefix ``APPLIANCE_``, nesting ``__``: ``gateway.port`` in the file
is ``APPLIANCE_GATEWAY__PORT``). Names carry their unit. This is the only module
that reads the environment. Every field's description is its documentation;
``docs/settings.md`` is made from them and held to them by a test.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from appliance.core import egress
from appliance.errors import SettingsInvalid
from appliance.sections import (
    AuditSettings,
    BackupSettings,
    BundleSettings,
    EnergySettings,
    EngineSettings,
    ExporterSettings,
    GatewaySettings,
    LogSettings,
    NetworkSettings,
    UpkeepSettings,
)

PREFIX = "APPLIANCE_"
FILE_VARIABLE = "APPLIANCE_SETTINGS_FILE"
SYSTEM_FILE = Path("/etc/appliance/appliance.toml")
# sun_path of a Unix socket address holds 108 bytes with its final zero (unix(7)).
MAX_SOCKET_PATH_BYTES = 107
# SD_LISTEN_FDS_START of sd_listen_fds(3).
_FIRST_LISTENING_DESCRIPTOR = 3


class Settings(BaseSettings):
    """The whole tree. Make one with :func:`load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", case_sensitive=False
    )

    state_dir: Path = Field(
        Path("/var/lib/appliance"), description="Directory of everything the appliance keeps: keys, usage, models."
    )
    gateway: GatewaySettings = GatewaySettings()
    audit: AuditSettings = AuditSettings()
    engine: EngineSettings = EngineSettings()
    bundles: BundleSettings = BundleSettings()
    exporter: ExporterSettings = ExporterSettings()
    energy: EnergySettings = EnergySettings()
    backup: BackupSettings = BackupSettings()
    network: NetworkSettings = NetworkSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file: what is passed to the constructor is the file's content."""
        return env_settings, init_settings

    @property
    def socket_path(self) -> Path:
        """The engine's Unix socket, absolute."""
        return (self.engine.socket_path or self.state_dir / "run" / "engine.sock").absolute()

    @property
    def sequences_path(self) -> Path:
        """Where the engine's process notes how many sequences it generates at once: beside the socket."""
        return self.socket_path.with_name(self.socket_path.name + ".sequences")

    @property
    def switching_path(self) -> Path:
        """Where the engine's process asks the gateway to let requests wait while it changes models."""
        return self.socket_path.with_name(self.socket_path.name + ".switching")

    @property
    def control_path(self) -> Path:
        """Where the engine's process is told to change models: a Unix socket beside the engine's."""
        return self.socket_path.with_name(self.socket_path.name + ".control")

    @property
    def model_dir(self) -> Path:
        """Directory of the model to serve, absolute."""
        return (self.engine.model_dir or self.state_dir / "active").absolute()

    @property
    def trusted_keys_dir(self) -> Path:
        """Directory of the keys whose bundles are installed, absolute."""
        return (self.bundles.trusted_keys_dir or self.state_dir / "trust").absolute()

    @property
    def traffic(self) -> egress.Traffic:
        """What the packet filter lets through: the answers of the listeners, and the servers that are set."""
        admin_ports = set(self.network.admin_ports)
        if not egress.is_loopback(self.gateway.admin_host) and self.gateway.admin_port:
            admin_ports.add(self.gateway.admin_port)
        return egress.Traffic(
            lan_subnets=self.network.lan_subnets,
            gateway_port=self.gateway.port,
            admin_subnets=self.network.admin_subnets,
            admin_ports=tuple(sorted(admin_ports)),
            ntp_servers=self.network.ntp_servers,
            mail_relay=self.network.mail_relay,
            mail_relay_port=self.network.mail_relay_port,
            alert_receivers=self.network.alert_receivers,
        )

    @property
    def bundles_dir(self) -> Path:
        """Directory of the installed bundles, absolute."""
        return self.state_dir.absolute() / "bundles"

    @property
    def key_database_path(self) -> Path:
        """The SQLite file of the API keys."""
        return self.state_dir.absolute() / "keys.sqlite3"

    @property
    def limit_database_path(self) -> Path:
        """The SQLite file of the tokens that limited keys used today."""
        return self.state_dir.absolute() / "limits.sqlite3"

    @property
    def upkeep_dir(self) -> Path:
        """Directory of the results that upkeep, backup and privacy test leave for each other and for reports."""
        return self.state_dir.absolute() / "upkeep"

    @property
    def record_database_path(self) -> Path:
        """The SQLite file of the audit and the account of use."""
        return self.state_dir.absolute() / "records.sqlite3"


def load(file: Path | None = None, state_dir: Path | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        file: settings file; by default ``$APPLIANCE_SETTINGS_FILE``, else
            ``/etc/appliance/appliance.toml`` if it exists.
        state_dir: overrides ``state_dir`` of file and environment (a command-line option).

    Raises:
        SettingsInvalid: an unknown name, a wrong type or range, or an unreadable file.
    """
    _refuse_unknown_variables(os.environ)
    values = _read_file(file or _default_file())
    try:
        settings = Settings(**values)
        if state_dir is not None:
            settings = settings.model_copy(update={"state_dir": state_dir.absolute()})
    except ValidationError as err:
        raise SettingsInvalid(_first_problem(err)) from None
    except SettingsError:
        raise SettingsInvalid(
            "An environment variable of a list or table is not JSON.",
            remedy='Write lists as ["a", "b"] and tables as {"a": "b"}; docs/settings.md says which settings are one.',
        ) from None
    if len(bytes(settings.socket_path)) > MAX_SOCKET_PATH_BYTES:
        raise SettingsInvalid(
            f"The engine's socket path is longer than {MAX_SOCKET_PATH_BYTES} bytes, the limit of a Unix socket.",
            remedy="Choose a shorter state directory, or set APPLIANCE_ENGINE__SOCKET_PATH.",
        )
    return settings


def file_in_use() -> Path | None:
    """The settings file that :func:`load` reads where none is named, or None."""
    return _default_file()


def child_environment(settings: Settings, names: tuple[str, ...]) -> dict[str, str]:
    """The few inherited variables a child process may see, by name; nothing else passes.

    Args:
        settings: the tree; its non-default state directory is passed on.
        names: inherited variables to keep where they are set (``PATH``, ``LANG`` …).
    """
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, f"{PREFIX}STATE_DIR": str(settings.state_dir.absolute())}


def notify_socket() -> str | None:
    """Address of systemd's notification socket (sd_notify(3)), if a service manager gave one."""
    return os.environ.get("NOTIFY_SOCKET") or None


@dataclass(frozen=True)
class Description:
    """One setting as the documentation shows it; all text."""

    name: str
    variable: str
    kind: str
    default: str
    text: str


def listening_descriptor() -> int | None:
    """The listening socket that the service manager hands to this process (sd_listen_fds(3)), if it does."""
    is_ours = os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1"
    return _FIRST_LISTENING_DESCRIPTOR if is_ours else None


def watchdog_seconds() -> float | None:
    """The service manager's watchdog time-out (``WATCHDOG_USEC`` of sd_watchdog_enabled(3)), if it has one."""
    value = os.environ.get("WATCHDOG_USEC", "")
    return int(value) / 1_000_000 if value.isdigit() and int(value) else None


def describe(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Description]:
    """Yield a description of every setting, in the order of the tree."""
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from describe(inner, f"{prefix}{name}.")
            continue
        dotted = f"{prefix}{name}"
        default = field.get_default(call_default_factory=True)
        variable = PREFIX + dotted.replace(".", "__").upper()
        yield Description(dotted, variable, _kind(field), _shown(default), field.description or "")


def _kind(field: FieldInfo) -> str:
    """Type and range in words, such as ``integer, 1 to 65535`` or ``one of auto, json``."""
    annotation: Any = field.annotation
    if get_origin(annotation) is UnionType:  # a setting without a default is `… | None`
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(annotation))
    kind = _KINDS.get(annotation) or _KINDS.get(get_origin(annotation), "text")
    bounds: dict[str, Any] = {}
    for constraint in field.metadata:
        bounds |= {name: getattr(constraint, name) for name in ("ge", "gt", "le") if hasattr(constraint, name)}
    if "ge" in bounds and "le" in bounds:
        return f"{kind}, {bounds['ge']} to {bounds['le']}"
    if "gt" in bounds:
        return f"{kind}, more than {bounds['gt']}"
    return f"{kind}, at least {bounds['ge']}" if "ge" in bounds else kind


_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    tuple: "list of text",
    tuple[int, ...]: "list of integers",
    dict: "table of text",
    dict[str, float]: "table of numbers",
}


def _shown(default: Any) -> str:
    if default is None:
        return "—"
    if isinstance(default, dict):
        return ", ".join(default) or "—"
    if isinstance(default, tuple):
        return ", ".join(str(item) for item in default)
    return str(default)


def _default_file() -> Path | None:
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    try:
        return SYSTEM_FILE if SYSTEM_FILE.is_file() else None
    except PermissionError:
        return SYSTEM_FILE  # it is there for others; reading it says so, going on without it would surprise


def _read_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except PermissionError:
        # Nobody is to open the file to more users for the sake of a command.
        raise SettingsInvalid(
            f"The settings file {file} is not for this user to read: Permission denied.", remedy="Run it with sudo."
        ) from None
    except OSError as err:
        raise SettingsInvalid(
            f"The settings file {file} cannot be read: {err.strerror}.",
            remedy=f"Put it there, or name another with {FILE_VARIABLE}.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise SettingsInvalid(f"The settings file {file} is not valid TOML: {err}.") from None
    for name in values:
        if name.startswith("_"):  # pydantic-settings takes such names as options of its own
            raise SettingsInvalid(f"There is no setting {name}.")
    return values


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """A misspelt variable would otherwise be ignored in silence."""
    described = list(describe())
    known = {setting.variable for setting in described} | {FILE_VARIABLE}
    tables = tuple(f"{setting.variable}__" for setting in described if setting.kind.startswith("table"))
    sections = tuple(f"{PREFIX}{name.upper()}__" for name in Settings.model_fields)
    for name in environ:
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known:
            continue
        if upper.startswith(tables):
            continue  # an entry of a table, as in APPLIANCE_GATEWAY__ALIASES__GPT_4
        # Without the prefix, which makes any two of them look alike.
        close = difflib.get_close_matches(upper.removeprefix(PREFIX), [v.removeprefix(PREFIX) for v in known], n=1)
        hint = f"Did you mean {PREFIX}{close[0]}?" if close else "docs/settings.md lists every setting."
        scope = "a setting" if upper.startswith(sections) else "known"
        raise SettingsInvalid(f"The environment variable {name} is not {scope}.", remedy=hint)


def _first_problem(err: ValidationError) -> str:
    problem = err.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, [setting.name for setting in describe()], n=1)
        return f"There is no setting {name}." + (f" Did you mean {close[0]}?" if close else "")
    return f"The setting {name} is not valid: {problem['msg']}."


__all__ = [
    "AuditSettings",
    "BackupSettings",
    "Description",
    "EnergySettings",
    "EngineSettings",
    "ExporterSettings",
    "GatewaySettings",
    "LogSettings",
    "NetworkSettings",
    "Settings",
    "child_environment",
    "describe",
    "file_in_use",
    "listening_descriptor",
    "load",
    "notify_socket",
    "watchdog_seconds",
]
