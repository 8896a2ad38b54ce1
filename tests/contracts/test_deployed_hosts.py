"""Nothing that is deployed names a machine outside the box: only loopback, and places that the operator fills in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: Used where there is a network, to make what the box is given; nothing of it is in force on the box.
NOT_ON_THE_BOX = {"kit", "locks"}
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.suffix in {".yml", ".yaml", ".ini", ".tmpl", ".json", ".conf", ".cfg", ".toml", ".j2", ".service", ".nft"}
    and path.relative_to(DEPLOY).parts[0] not in NOT_ON_THE_BOX
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://(\[[0-9a-f:]+\]|\{\{[^}]*\}\}|[^/\"'\s;:)]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[\"'](\{\{[^}]*\}\}|[\w-]*[A-Za-z.][\w.-]*):\d{2,5}[\"']")  # a time of day is none
_HERE = re.compile(r"127(?:\.\d+){3}|localhost|\[::1\]|\{\{.*|\$.*")


def hosts(text: str) -> list[str]:
    """The machines that a text names, in URLs and as "host:port"."""
    return [*_URL.findall(text), *_ADDRESS.findall(text)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_file_names_no_host_but_loopback(path: Path) -> None:
    named = hosts(path.read_text(encoding="utf-8"))
    assert [host for host in named if not _HERE.fullmatch(host)] == []


def test_a_host_outside_would_be_seen() -> None:
    text = "url: https://metrics.example.com/x\ntargets: ['10.0.0.7:9090', \"127.0.0.1:9093\"]\nto: http://{{ host }}/a"
    assert [host for host in hosts(text) if not _HERE.fullmatch(host)] == ["metrics.example.com", "10.0.0.7"]


def test_what_prometheus_and_alertmanager_are_given_is_among_the_files() -> None:
    assert {path.name for path in FILES} >= {"prometheus.yml", "alertmanager.yml", "appliance.tmpl"}
    assert [host for path in FILES for host in hosts(path.read_text(encoding="utf-8")) if host == "127.0.0.1"]
