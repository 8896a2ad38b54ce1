"""deploy/compose.yaml and the units, held against each other line by line in both directions."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from appliance.settings import EngineSettings, Settings
from tests.contracts import sandbox_mirror as mirror
from tests.contracts.compose_schema import Compose
from tests.contracts.sandbox_mirror import MIRRORED, NUMBERS, OWN, SERVICES, UNASKED, WEAKER, compose, directives, lines

BASE = compose()
FILES = sorted(path.name for path in mirror.DEPLOY.glob("compose*.yaml"))
COMMANDS = ("operator", "backup")
DOCKERFILE = mirror.ROOT / "Dockerfile"


def said(service: str) -> dict[str, str]:
    return {line.name: line.value for line in directives(service)}


def named_volumes(service: str) -> dict[str, str]:
    """Named volumes of a service, with what follows their name."""
    short = [one for one in BASE["services"][service]["volumes"] if isinstance(one, str)]
    return {name: rest for name, rest in (one.split(":", 1) for one in short) if name in BASE["volumes"]}


def mounts(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a service of volumes and binds has mounted, by target."""
    found = {}
    for entry in service.get("volumes", []):
        mount = (
            entry
            if isinstance(entry, dict)
            else dict(zip(("source", "target", "mode"), entry.split(":"), strict=False))
        )
        found[mount["target"]] = mount
    return found


def targets(service: str) -> list[str]:
    return list(mounts(BASE["services"][service]))


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


@pytest.mark.parametrize("service", SERVICES)
def test_lines_of_a_service_are_those_that_its_unit_asks_for_and_no_others(service: str) -> None:
    asked = {
        line for one in directives(service) if one.name in MIRRORED for line in MIRRORED[one.name](one, said(service))
    }
    own = {line for line, (services, _) in OWN.items() if service in services}
    assert asked & own == set()
    assert sorted(lines(BASE["services"][service])) == sorted(asked | own)


@pytest.mark.parametrize("service", SERVICES)
def test_every_directive_is_mirrored_or_its_absence_explained(service: str) -> None:
    tables = MIRRORED.keys() | UNASKED.keys() | WEAKER[service]
    expected = Counter(tables - mirror.UNSAID[service]) | Counter(mirror.SEVERAL[service])
    assert Counter(line.name for line in directives(service)) == expected


def test_tables_name_nothing_that_no_unit_says() -> None:
    everything = {line.name for service in SERVICES for line in directives(service)}
    assert sorted((MIRRORED.keys() | UNASKED.keys()) - everything) == []
    assert MIRRORED.keys() & UNASKED.keys() == set()
    assert all(WEAKER[service] <= said(service).keys() for service in SERVICES)


@pytest.mark.parametrize("name", FILES)
def test_file_is_of_the_specification(name: str) -> None:
    document = {key: value for key, value in compose(name).items() if not key.startswith("x-")}
    whole = Compose.model_validate(document)
    assert whole.services or whole.networks


def test_every_service_mirrors_a_unit_or_is_the_operators_command() -> None:
    assert set(BASE["services"]) == {*SERVICES, "operator"}


def test_engine_and_gateway_share_the_sockets_volume_alone() -> None:
    engine, gateway = named_volumes("engine"), named_volumes("gateway")
    assert engine.keys() & gateway.keys() == {"socket"}
    assert gateway["socket"].endswith(":ro")
    assert engine["models"].endswith(":ro")
    assert named_volumes("exporter") == {}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_unit_hides_is_not_mounted(service: str) -> None:
    hidden = [path.lstrip("-") for path in said(service).get("InaccessiblePaths", "").split()]
    assert [path for path in targets(service) if any(f"{path}/".startswith(f"{one}/") for one in hidden)] == []
    if "ReadOnlyPaths" in said(service):
        assert said(service)["ReadOnlyPaths"].lstrip("-") not in targets(service)


def test_operator_may_write_what_the_engine_reads_and_nothing_else_is_wider() -> None:
    operator, engine = BASE["services"]["operator"], BASE["services"]["engine"]
    assert named_volumes("operator") == {
        "models": named_volumes("engine")["models"].removesuffix(":ro"),
        "socket": "/run/appliance:ro",
    }
    for key in ("user", "network_mode", "cap_drop", "read_only", "ipc", "tmpfs", "init"):
        assert operator[key] == engine[key]
    assert operator["security_opt"] == ["no-new-privileges:true", "seccomp:seccomp/gateway.json"]
    assert operator["profiles"] == ["operator"]


def test_sockets_volume_is_the_units_runtime_directory() -> None:
    unit, options = said("engine"), BASE["volumes"]["socket"]["driver_opts"]
    assert (options["type"], options["device"]) == ("tmpfs", "tmpfs")
    assert options["o"].split(",") == [
        f"mode={unit['RuntimeDirectoryMode']}",
        f"uid={NUMBERS[unit['User']]}",
        f"gid={NUMBERS[unit['Group']]}",
        *("noexec", "nosuid", "nodev"),
    ]
    assert "/run" in unit["NoExecPaths"].split()


def test_image_has_the_users_and_directories_that_are_mounted_over() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    made = {path: (int(user), int(group), mode) for user, group, mode, path in _directories(text)}
    unit = said("engine")
    engine = NUMBERS["appliance-engine"], NUMBERS["appliance"]
    assert made[f"/var/lib/{unit['StateDirectory']}"] == (*engine, unit["StateDirectoryMode"])
    assert made["/run/appliance"] == (*engine, unit["RuntimeDirectoryMode"])
    assert made["/var/lib/appliance/bundles"][:2] == engine
    # The gateway's data and the models are different volumes at the same place: both users may write to theirs.
    assert made["/var/lib/appliance"] == (NUMBERS["appliance-gateway"], NUMBERS["appliance"], "0770")
    assert made["/var/lib/appliance/upkeep"] == (NUMBERS["appliance-gateway"], NUMBERS["appliance-gateway"], "0700")
    for name in ("engine", "gateway", "exporter"):
        user, group = BASE["services"][name]["user"].split(":")
        assert f"appliance-{name}:x:{user}:{group}:" in text
    assert f"appliance:x:{NUMBERS['appliance']}:" in text


def _directories(text: str) -> list[tuple[str, str, str, str]]:
    found = []
    for user, group, mode, paths in re.findall(r"install -d -o (\d+) -g (\d+) -m (\d+) ([^\\&\n]+)", text):
        found += [(user, group, mode, path) for path in paths.split()]
    return found


def test_numbers_agree_with_the_settings() -> None:
    services = BASE["services"]
    start = seconds(services["engine"]["healthcheck"]["start_period"])
    assert start == EngineSettings().startup_timeout_seconds
    assert services["gateway"]["healthcheck"]["start_period"] == services["engine"]["healthcheck"]["start_period"]
    assert services["gateway"]["environment"]["APPLIANCE_GATEWAY__PORT"] == services["gateway"]["ports"][0][-4:]
    assert services["engine"]["environment"]["APPLIANCE_STATE_DIR"] == str(Settings.model_fields["state_dir"].default)


@pytest.mark.parametrize("name", FILES)
def test_environment_is_of_settings_that_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in compose(name).get("services", {}).values():
        for variable, value in service.get("environment", {}).items():
            monkeypatch.setenv(variable, value)
    assert Settings().gateway.port in (8080, 8443)


def test_secret_of_tls_is_what_the_unit_is_handed() -> None:
    gateway: dict[str, Any] = compose("compose.tls.yaml")["services"]["gateway"]
    credential, source = said("gateway")["LoadCredential"].split(":")
    variable, path = said("gateway")["Environment"].split("=")
    assert gateway["secrets"] == [credential]
    assert gateway["environment"][variable] == path.replace("%d", "/run/secrets")
    assert compose("compose.tls.yaml")["secrets"][credential]["file"].endswith(source.rpartition("/")[2])
    assert set(gateway) == {"secrets", "environment", "volumes"}


def test_without_a_gpu_nothing_changes_but_image_device_and_model() -> None:
    services = compose("compose.cpu.yaml")["services"]
    assert services.keys() == {*BASE["services"], "model"}
    assert {service["image"] for service in services.values()} == {"${APPLIANCE_IMAGE:-appliance:cpu}"}
    assert {name for name, service in services.items() if service.get("deploy", ...) is None} == {"engine", "exporter"}
    assert services["engine"]["environment"] == {"APPLIANCE_ENGINE__DEVICE": "cpu"}
    del services["model"]
    changed = {key for service in services.values() for key in service}
    assert changed == {"image", "environment", "deploy", "depends_on"}


def test_demos_model_is_installed_as_the_operator_would() -> None:
    model, operator = compose("compose.cpu.yaml")["services"]["model"], BASE["services"]["operator"]
    other = {"image", "command", "volumes", "profiles"}
    assert {key: model.get(key) for key in operator if key not in other} == {
        key: value for key, value in operator.items() if key not in other
    }
    assert model.keys() - operator.keys() == {"command"}
    assert model["command"] == ["bundle", "install", "/media", "--activate"]
    assert mounts(model).keys() - mounts(operator).keys() == {"/media"}
    assert {target: mount for target, mount in mounts(model).items() if target != "/media"} == mounts(operator)


def test_file_of_variables_names_the_files_and_the_demos_keys() -> None:
    said = dict(line.split("=") for line in (mirror.DEPLOY / "cpu.env").read_text().splitlines() if line[0] != "#")
    assert said == {"COMPOSE_FILE": "compose.yaml:compose.cpu.yaml", "APPLIANCE_TRUST": "../.state/demo/trust"}
    assert said["COMPOSE_FILE"].split(":") == [name for name in ("compose.yaml", "compose.cpu.yaml") if name in FILES]


@pytest.mark.parametrize("name", [name for name in FILES if name != "compose.yaml"])
def test_no_file_mounts_anew_what_the_first_one_mounts(name: str) -> None:
    """podman-compose 1.6 mounts both: in the long form it does not see that the place is the same."""
    for service, stated in compose(name).get("services", {}).items():
        if service in BASE["services"]:
            assert set(mounts(stated)) & set(mounts(BASE["services"][service])) == set()


@pytest.mark.parametrize("name", FILES)
def test_a_path_that_is_not_there_is_refused_and_no_directory_made_in_its_place(name: str) -> None:
    for service in compose(name).get("services", {}).values():
        short = [entry.split(":")[0] for entry in service.get("volumes", []) if isinstance(entry, str)]
        assert set(short) <= BASE["volumes"].keys()


@pytest.mark.parametrize("name", FILES)
def test_only_what_the_first_file_says_is_taken_back(name: str) -> None:
    """podman-compose 1.6 takes a tag that meets nothing for the value."""
    for service, stated in compose(name).get("services", {}).items():
        gone = {key for key, value in stated.items() if value is None}
        assert gone <= BASE["services"].get(service, {}).keys()


def test_podman_is_spared_what_it_does_not_know_and_told_what_docker_does_by_itself() -> None:
    override = compose("compose.podman.yaml")
    kept = {"tmpfs": [f"{place}:ro,noexec,nosuid,nodev,size=64k" for place in ("/run", "/var/tmp")]}
    assert override.pop("x-kept") == kept
    assert override == {
        "networks": {name: {"driver_opts": None} for name in BASE["networks"]},
        "services": dict.fromkeys(BASE["services"], kept),
    }
    assert {name: list(network["driver_opts"].items()) for name, network in BASE["networks"].items()} == {
        name: [("com.docker.network.bridge.enable_ip_masquerade", "false")] for name in ("front", "telemetry")
    }
