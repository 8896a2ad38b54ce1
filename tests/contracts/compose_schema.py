"""The part of the Compose specification that the files in deploy/ use; any other key is an error.

Types and forms are those of https://github.com/compose-spec/compose-spec/blob/main/schema/compose-spec.json. Where the
specification allows several forms, the one that both Docker Compose and podman-compose read is asked for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Duration = Annotated[str, StringConstraints(pattern=r"^(\d+(us|ms|s|m|h))+$")]
Size = Annotated[str, StringConstraints(pattern=r"^(\d+[kmg]?|\$\{\w+:-\d+[kmg]?\})$")]
#: NAME:/PATH of a volume, with or without :ro. What is the host's is mounted in the long form.
Volume = Annotated[str, StringConstraints(pattern=r"^\w+:/[\w/.-]+(:ro)?$")]
Numbers = Annotated[str, StringConstraints(pattern=r"^\d+:\d+$")]


class Part(BaseModel):
    """Forbids what it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class BindOptions(Part):
    """How a directory of the host is mounted."""

    create_host_path: Literal[False]


class Bind(Part):
    """A mount in the long form, which refuses a source that is not there."""

    type: Literal["bind"]
    source: str
    target: str
    read_only: bool = False
    bind: BindOptions


class Device(Part):
    """Devices that a service needs."""

    driver: Literal["nvidia"]
    count: int | Literal["all"]
    capabilities: list[str]


class Reservations(Part):
    """What is set apart for a service."""

    devices: list[Device]


class Resources(Part):
    """``deploy.resources``."""

    reservations: Reservations


class Deploy(Part):
    """``deploy``."""

    resources: Resources


class HealthCheck(Part):
    """How a container is asked whether it serves."""

    test: list[str]
    interval: Duration
    timeout: Duration
    start_period: Duration


class Logging(Part):
    """Where a container's output goes."""

    driver: str
    options: dict[str, str]


class Dependency(Part):
    """What another service must have done before."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Service(Part):
    """A service, or what an override says of one; None takes back."""

    image: str | None = None
    pull_policy: Literal["always", "never", "missing", "build"] | None = None
    profiles: list[str] | None = None
    command: list[str] | None = None
    user: Numbers | None = None
    group_add: list[str] = Field(default_factory=list)
    init: bool = False
    read_only: bool = False
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    network_mode: Literal["none"] | None = None
    networks: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    dns: list[str] = Field(default_factory=list)
    ipc: Literal["private", "shareable"] | None = None
    cap_drop: list[str] = Field(default_factory=list)
    security_opt: list[str] = Field(default_factory=list)
    tmpfs: list[str] = Field(default_factory=list)
    environment: dict[str, str] = Field(default_factory=dict)
    volumes: list[Volume | Bind] = Field(default_factory=list)
    secrets: list[str] = Field(default_factory=list)
    depends_on: dict[str, Dependency] = Field(default_factory=dict)
    deploy: Deploy | None = None
    mem_limit: Size | None = None
    memswap_limit: Size | None = None
    shm_size: Size | None = None
    oom_score_adj: Annotated[int, Field(ge=-1000, le=1000)] = 0
    pids_limit: int | None = None
    ulimits: dict[Literal["nofile", "core"], int] = Field(default_factory=dict)
    stop_grace_period: Duration | None = None
    healthcheck: HealthCheck | None = None
    logging: Logging | None = None


class Options(Part):
    """Of a network or a volume."""

    driver_opts: dict[str, str] | None = None


class Secret(Part):
    """A secret in a file."""

    file: str


class Compose(BaseModel):
    """A whole file; what begins with ``x-`` is read by nobody."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    services: dict[str, Service] = Field(default_factory=dict)
    networks: dict[str, Options] = Field(default_factory=dict)
    volumes: dict[str, Options | None] = Field(default_factory=dict)
    secrets: dict[str, Secret] = Field(default_factory=dict)
