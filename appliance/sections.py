"""The sections of the settings: names, units, defaults and ranges, each with the sentence that docs/settings.md has.

``settings`` reads them; what a process asks goes through ``settings.load``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from appliance.core import egress
from appliance.core.timetable import Timetable


class Section(BaseModel):
    """A part of the settings: frozen, and what it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GatewaySettings(Section):
    """The OpenAI-compatible listener and its admin listener."""

    host: str = Field("127.0.0.1", min_length=1, description="Address the public listener binds to.")
    port: int = Field(8080, ge=1, le=65535, description="Port of the public listener.")
    admin_host: str = Field(
        "127.0.0.1",
        description="Address of the admin listener. It asks for no key, so keep it on loopback or on the admin network "
        "(docs/metrics.md); empty switches it off.",
    )
    admin_port: int = Field(
        8081, ge=0, le=65535, description="Port of the admin listener (metrics); 0 for any free one."
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("*",),
        description="Host names the appliance answers to, without port; `*` for any. Others get 421.",
    )
    aliases: dict[str, str] = Field(
        default_factory=lambda: dict.fromkeys(
            ("gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1"), ""
        ),
        description="Model names that apps may use, each mapped to a served model; an empty value means the active one.",
    )
    tls_certificate_path: Path | None = Field(
        None,
        description="The public listener's certificate with its chain, as PEM; with `tls_key_path` it answers over TLS "
        "and in no other way. A renewed file is taken without a restart.",
    )
    tls_key_path: Path | None = Field(
        None, description="The private key of that certificate, as PEM without a passphrase."
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body; beyond it 413.")
    max_header_bytes: int = Field(16_384, ge=1024, description="Largest header block; beyond it 431.")
    max_messages: int = Field(256, ge=1, description="Most messages in one chat request.")
    max_prompts: int = Field(64, ge=1, description="Most prompts in one completions request.")
    max_choices: int = Field(8, ge=1, description="Largest `n` of one request.")
    max_output_tokens: int = Field(
        8192, ge=1, description="Largest `max_tokens` of one request, and the one of a request that names none."
    )
    max_schema_bytes: int = Field(32_768, ge=64, description="Largest JSON schema of a request, as JSON text.")
    max_schema_depth: int = Field(16, ge=1, description="Deepest nesting of a JSON schema.")
    max_schema_properties: int = Field(256, ge=1, description="Most properties in a JSON schema, all levels together.")
    max_tools: int = Field(64, ge=1, description="Most tools in one request.")
    max_connections: int = Field(
        4096,
        ge=1,
        description="Most client connections held at once; a request on a further one gets 503. Half as many TLS handshakes "
        "may be under way, for ten seconds each; where there are more, the oldest gives way.",
    )
    max_running_requests: int | None = Field(
        None,
        ge=1,
        description="Most sequences given to the engine at once; by default what the engine generates at once "
        "and an eighth more, or 256 if it does not say. Further requests wait.",
    )
    max_waiting_requests: int = Field(
        2048, ge=0, description="Most requests that wait for the engine; beyond it 429 with the time to come back."
    )
    max_waiting_requests_per_app: int = Field(
        1024, ge=0, description="Most of them of one app; the app with the longest line gives way when all are taken."
    )
    max_waiting_bytes: int = Field(
        67_108_864, ge=1024, description="Most bytes of the requests that wait; beyond it 429."
    )
    queue_deadline_seconds: float = Field(
        60.0, gt=0, description="Longest wait for the engine; then 429. It generated nothing for such a request."
    )
    switch_deadline_seconds: float = Field(
        600.0, gt=0, description="Longest wait of a request that arrives while the model is being changed; then 503."
    )
    interactive_hours: tuple[str, ...] = Field(
        ("08:00-23:00",),
        description="Local hours in which people use the apps, each as `08:00-23:00` or `mon-fri 08:00-23:00`. "
        "Outside them, keys of class batch may fill the box.",
    )
    batch_share: float = Field(
        0.25, ge=0, le=1, description="Share of the engine that keys of class batch may hold in these hours."
    )
    app_weights: dict[str, float] = Field(
        default_factory=dict,
        description="Apps (by the name of their keys) whose share of a busy engine is not that of the others: "
        "2 is twice as much.",
    )
    body_timeout_seconds: float = Field(30.0, gt=0, description="Longest wait for a request body to arrive.")
    write_timeout_seconds: float = Field(
        30.0, gt=0, description="Longest time in which a client may take nothing of its answer."
    )
    engine_connect_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for the engine's socket.")
    engine_first_byte_timeout_seconds: float = Field(
        300.0, gt=0, description="Longest wait for the first byte of the engine's answer."
    )
    engine_idle_timeout_seconds: float = Field(
        60.0, gt=0, description="Longest silence of the engine within an answer that has begun."
    )
    probe_interval_seconds: float = Field(
        5.0, gt=0, description="How often the gateway asks an idle engine for one token."
    )
    probe_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for that token.")
    ready_window_seconds: float = Field(
        15.0, gt=0, description="How long after the last real generation /health/ready stays 200."
    )
    shutdown_grace_seconds: float = Field(
        20.0, ge=0, description="How long running answers may finish after a stop signal."
    )

    @field_validator("interactive_hours")
    @classmethod
    def _are_hours(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        Timetable.parse(lines)
        return lines

    @model_validator(mode="after")
    def _has_two_ports(self) -> Self:
        if (self.admin_host, self.admin_port) == (self.host, self.port):
            raise ValueError("admin_port and port are the same; the admin listener needs one of its own")
        return self

    @model_validator(mode="after")
    def _has_certificate_and_key(self) -> Self:
        if (self.tls_certificate_path is None) != (self.tls_key_path is None):
            raise ValueError("tls_certificate_path and tls_key_path go together; set both or none")
        return self

    @field_validator("app_weights")
    @classmethod
    def _are_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        if any(not 0.01 <= weight <= 100 for weight in weights.values()):
            raise ValueError("a weight is a number from 0.01 to 100")
        return weights


class AuditSettings(Section):
    """The audit: who asked, when, from where, what came of it; never content."""

    required: bool = Field(
        True,
        description="Answer 503 while the audit cannot be written; `false` serves on and notes how many records are lost.",
    )
    retention_days: int = Field(
        365,
        ge=1,
        description="How long records are kept. The safety-measures standard of PIPA, art. 8, asks for a year, "
        "and for two (730) with 50,000 people or sensitive data.",
    )


class EngineSettings(Section):
    """vLLM and the process that watches it."""

    socket_path: Path | None = Field(
        None, description="The engine's Unix socket; by default `<state_dir>/run/engine.sock`."
    )
    model_dir: Path | None = Field(
        None, description="Directory of the model to serve; by default `<state_dir>/active`."
    )
    served_model_name: str | None = Field(
        None, description="Name the engine answers to; by default the one the model directory states."
    )
    device: Literal["auto", "cuda", "cpu"] = Field(
        "auto",
        description="`auto` takes the GPU and refuses a machine whose NVIDIA hardware or driver is there but unusable; "
        "`cuda` refuses a machine without a GPU; `cpu` is the CPU on purpose.",
    )
    profile: str = Field("auto", description="Hardware profile by name; `auto` chooses by the hardware found.")
    max_model_len_tokens: int | None = Field(
        None, ge=64, description="Context length; by default the profile's, capped by the model's."
    )
    kv_cache_bytes: int | None = Field(
        None, ge=67_108_864, description="Memory for the KV cache on the CPU; by default the profile's."
    )
    startup_timeout_seconds: float = Field(
        900.0, gt=0, description="Longest time from start to the first generated token."
    )
    probe_interval_seconds: float = Field(4.0, gt=0, description="How often the supervisor asks for one token.")
    probe_timeout_seconds: float = Field(
        10.0, gt=0, description="Longest wait for that token while the engine makes no other progress."
    )
    shutdown_grace_seconds: float = Field(
        15.0, ge=0, description="How long the engine may take to stop before it is killed."
    )
    drain_seconds: float = Field(
        120.0, ge=0, description="How long running answers may finish when the model is changed; then they are cut off."
    )
    restart_backoff_seconds: float = Field(1.0, gt=0, description="Wait before the first restart; doubles each time.")
    restart_backoff_max_seconds: float = Field(60.0, gt=0, description="Longest wait before a restart.")


class BundleSettings(Section):
    """Model bundles and who may have made them."""

    trusted_keys_dir: Path | None = Field(
        None,
        description="Directory of the public keys whose bundles are installed, one TOML file each; "
        "by default `<state_dir>/trust`.",
    )
    require_signature: bool = Field(
        False,
        description="Serve no model directory without a signature. With any trusted key there, none is served either way.",
    )


class ExporterSettings(Section):
    """The GPU exporter."""

    host: str = Field("127.0.0.1", min_length=1, description="Address the exporter binds to.")
    port: int = Field(9400, ge=1, le=65535, description="Port of the exporter.")


class BackupSettings(Section):
    """Encrypted copies of what the appliance keeps (docs/backup.md)."""

    directory: Path | None = Field(
        None, description="Where `appliance backup create` puts its files; without one there are no backups."
    )
    recipient: str | None = Field(
        None,
        pattern=r"^age1[02-9ac-hj-np-z]{58}$",
        description="Public recovery key (`age1…`) that backups are encrypted to; `appliance backup keygen` makes one.",
    )
    keep: int = Field(14, ge=1, description="How many backups stay; the oldest go after a new one is whole.")


class EnergySettings(Section):
    """What electricity costs, and who remembers how much was used (docs/cost.md)."""

    won_per_kwh: float = Field(
        141.0,
        ge=0,
        le=10_000,
        description="Price of a kilowatt-hour in won; 0 switches the figures of cost off. Put in your own from the bill: "
        "its total without the base charge, divided by its kWh. The default is the year's mean of KEPCO's "
        "general-purpose tariff (A) I, low voltage, as it stood in 2026, with surcharges and taxes and without the base "
        "charge (docs/cost.md).",
    )
    prometheus_url: str = Field(
        "http://127.0.0.1:9090", description="The Prometheus that reads the GPU exporter; `appliance cost` asks it."
    )

    @field_validator("prometheus_url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an address is http:// or https://, a host, and a port or path if need be")
        if parts.username is not None:
            raise ValueError("the address holds a user name; this Prometheus is asked without one")
        _ = parts.port  # raises ValueError where it is none
        return url.rstrip("/")


class NetworkSettings(Section):
    """Who may talk to the box, and whom it may talk to: the packet filter is made from this (docs/hardening.md)."""

    lan_subnets: tuple[str, ...] = Field(
        (), description="Subnets whose apps may reach the gateway, such as `192.168.10.0/24`."
    )
    admin_subnets: tuple[str, ...] = Field(
        (), description="Subnets that may reach `admin_ports`, and the admin listener where it is not on loopback."
    )
    admin_ports: tuple[int, ...] = Field(
        (22,), description="TCP ports for them: ssh; and 3000 where Grafana is shown to the admin network."
    )
    ntp_servers: tuple[str, ...] = Field(
        (), description="Addresses of time servers. Names are not possible: the box asks no name server."
    )
    mail_relay: str | None = Field(None, description="Address of the mail server that takes alerts.")
    mail_relay_port: int = Field(25, ge=1, le=65535, description="Its TCP port.")
    alert_receivers: tuple[str, ...] = Field(
        (),
        description="Further machines that take alerts, by a webhook say, each as `ADDRESS:PORT` (TCP), IPv6 in brackets. "
        "Names are not possible.",
    )

    @field_validator("lan_subnets", "admin_subnets")
    @classmethod
    def _are_subnets(cls, subnets: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(egress.subnet(subnet) for subnet in subnets)

    @field_validator("ntp_servers")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(egress.address(address) for address in addresses)

    @field_validator("alert_receivers")
    @classmethod
    def _are_receivers(cls, receivers: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(egress.receiver(receiver) for receiver in receivers)

    @field_validator("mail_relay")
    @classmethod
    def _is_address(cls, address: str | None) -> str | None:
        return None if address is None else egress.address(address)

    @field_validator("admin_ports")
    @classmethod
    def _are_ports(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= port <= 65535 for port in ports):
            raise ValueError("a port is a number from 1 to 65535")
        return ports


class UpkeepSettings(Section):
    """What `appliance upkeep` looks at (docs/upkeep.md)."""

    audit_interval_seconds: float = Field(
        86_400.0, gt=0, description="How old the audit's last verification may be before upkeep verifies it anew."
    )
    ca_certificate_path: Path | None = Field(
        None,
        description="PEM file of the CA that signed `gateway.tls_certificate_path`, so that its end is watched as well.",
    )
    clock_log_path: Path = Field(
        Path("/var/log/chrony/tracking.log"),
        description="Where chrony writes what it measures (`log tracking`); the clock's offset is read from it.",
    )


class LogSettings(Section):
    """The log: structure only, never content or keys."""

    format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is readable on a terminal and JSON lines elsewhere (a service manager, a file)."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level written.")
