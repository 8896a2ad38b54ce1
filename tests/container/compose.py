"""deploy/compose.yaml as podman's arguments, so that what is tested is the file that people use.

Every key of a service has a line here or stops the tests: nothing in the file
is passed over in silence. The files are merged as ``docker compose -f A -f B``
does it: mappings by key, mounts by their target, other lists one after the
other, and ``!reset`` takes away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_RESET = object()
#: What matters to Docker's daemon alone, or to the order in which it starts things.
_IGNORED = frozenset({"pull_policy", "profiles", "depends_on", "command", "image", "networks"})


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!reset", lambda _loader, _node: _RESET)


@dataclass(frozen=True)
class Mount:
    """What is mounted where.

    Args:
        source: a volume's name, or an absolute path.
        target: place in the container.
        read_only: whether it may not be written.
    """

    source: str
    target: str
    read_only: bool

    @property
    def argument(self) -> str:
        """As ``--volume`` takes it."""
        return f"{self.source}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True)
class Project:
    """The merged files.

    Args:
        document: what they say, with variables filled in.
    """

    document: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services by name."""
        return self.document["services"]

    @property
    def volumes(self) -> Mapping[str, Sequence[str]]:
        """The volumes by name, each with the options of ``podman volume create``."""
        return {
            name: [f"--opt={key}={value}" for key, value in (stated or {}).get("driver_opts", {}).items()]
            for name, stated in self.document["volumes"].items()
        }

    def mounts(self, service: str) -> list[Mount]:
        """What a service has mounted."""
        return [_mount(entry) for entry in self.services[service].get("volumes", [])]

    def arguments(self, service: str, network: str, prefix: str) -> Iterator[str]:
        """What ``podman run`` is told of a service, without image and command.

        Args:
            service: its name.
            network: podman's network in place of the service's own.
            prefix: put in front of volumes' names.
        """
        stated = self.services[service]
        for key, value in stated.items():
            if key in _IGNORED:
                continue
            if key not in _ARGUMENTS:
                raise AssertionError(f"{service}: {key} in compose.yaml is not translated for podman")
            if value is not _RESET:
                yield from _ARGUMENTS[key](value)
        for mount in self.mounts(service):
            place = mount.source if mount.source.startswith("/") else f"{prefix}{mount.source}"
            yield f"--volume={Mount(place, mount.target, mount.read_only).argument}"
        if "networks" in stated:
            yield f"--network={network}"

    def image(self, service: str) -> str:
        """The service's image."""
        return str(self.services[service]["image"])

    def command(self, service: str) -> list[str]:
        """What the service runs."""
        return [str(word) for word in self.services[service].get("command", [])]


def read(*names: str, variables: Mapping[str, str]) -> Project:
    """Read and merge files of deploy/, as ``docker compose -f`` for each.

    Args:
        names: of the files.
        variables: that they may use as ``${NAME:-default}``.
    """
    merged: Any = {}
    for name in names:
        text = (FOLDER / name).read_text(encoding="utf-8")
        filled = _VARIABLE.sub(lambda match: variables.get(match[1], match[2] or ""), text)
        # A !reset leaves a space before the next key; everything else is plain YAML.
        merged = _merge(merged, yaml.load(filled, _Loader))  # noqa: S506  a SafeLoader
    return Project(merged)


def _merge(lower: Any, upper: Any, key: str = "") -> Any:
    if upper is _RESET:
        return None
    if isinstance(lower, dict) and isinstance(upper, dict):
        joined = {name: _merge(lower[name], value, name) if name in lower else value for name, value in upper.items()}
        return {name: value for name, value in {**lower, **joined}.items() if value is not None or name in lower}
    if key == "volumes" and isinstance(lower, list):
        targets = {_mount(entry).target for entry in upper}
        return [entry for entry in lower if _mount(entry).target not in targets] + upper
    return upper


def _mount(entry: Any) -> Mount:
    if isinstance(entry, str):
        source, target, *flags = entry.split(":")
        return Mount(_source(source), target, "ro" in flags)
    return Mount(_source(entry["source"]), entry["target"], bool(entry.get("read_only")))


def _source(text: str) -> str:
    return str((FOLDER / text).resolve()) if text.startswith((".", "/")) else text


def _each(option: str) -> Callable[[Sequence[Any]], list[str]]:
    return lambda values: [f"--{option}={value}" for value in values]


def _one(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [f"--{option}={str(value).lower() if isinstance(value, bool) else value}"]


def _memory(option: str) -> Callable[[Any], list[str]]:
    return lambda value: [] if str(value) == "0" else [f"--{option}={value}"]


def _security(values: Sequence[str]) -> Iterator[str]:
    for value in values:
        name, _, rest = value.partition(":")
        yield f"--security-opt=seccomp={(FOLDER / rest).resolve()}" if name == "seccomp" else f"--security-opt={name}"


def _ulimits(limits: Mapping[str, Any]) -> Iterator[str]:
    for name, limit in limits.items():
        soft, hard = (limit["soft"], limit["hard"]) if isinstance(limit, dict) else (limit, limit)
        yield f"--ulimit={name}={soft}:{hard}"


def _health(check: Mapping[str, Any]) -> Iterator[str]:
    # Podman takes the words alone; with CMD in front it would take the JSON apart at its blanks.
    assert check["test"][0] == "CMD"
    yield f"--health-cmd={json.dumps(check['test'][1:])}"
    for name in ("interval", "timeout", "start_period", "retries"):
        if name in check:
            yield f"--health-{name.replace('_', '-')}={check[name]}"


def _read_only(value: bool) -> list[str]:
    # Podman would put writable places of its own into a read-only root; Docker does not.
    return ["--read-only", "--read-only-tmpfs=false"] if value else []


def _logging(stated: Mapping[str, Any]) -> list[str]:
    # Podman's own name for lines in a file; it keeps one.
    return ["--log-driver=k8s-file", f"--log-opt=max-size={stated['options']['max-size']}"]


def _devices(stated: Mapping[str, Any] | None) -> list[str]:
    assert stated is None, "a GPU is asked for"
    return []


_ARGUMENTS: Mapping[str, Callable[[Any], Any]] = {
    "cap_drop": _each("cap-drop"),
    "deploy": _devices,
    "dns": _each("dns"),
    "environment": lambda values: [f"--env={name}={value}" for name, value in values.items()],
    "group_add": _each("group-add"),
    "healthcheck": _health,
    "init": lambda value: ["--init"] if value else [],
    "ipc": _one("ipc"),
    "logging": _logging,
    "mem_limit": _memory("memory"),
    "memswap_limit": _memory("memory-swap"),
    "network_mode": _one("network"),
    "oom_score_adj": _one("oom-score-adj"),
    "pids_limit": _one("pids-limit"),
    "ports": _each("publish"),
    "read_only": _read_only,
    "restart": _one("restart"),
    "security_opt": _security,
    "shm_size": _one("shm-size"),
    "stop_grace_period": lambda value: [f"--stop-timeout={str(value).removesuffix('s')}"],
    "tmpfs": _each("tmpfs"),
    "ulimits": _ulimits,
    "user": _one("user"),
    "volumes": lambda _: [],
}
