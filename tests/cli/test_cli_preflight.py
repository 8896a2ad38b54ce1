"""Claims about ``cli.preflight``: what it reads from the machine it runs on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from appliance import settings
from appliance.cli import preflight
from appliance.core.preflight import Needs
from appliance.errors import NotEnoughDisk, PortTaken, SettingsInvalid, StateUnusable
from tests.cli.foreground import free_port


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_free_port_has_no_holder(taken_port: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]

    assert preflight.port_holder("127.0.0.1", free) is None


def test_a_taken_port_is_held_by_a_process_with_name_and_number(taken_port: int) -> None:
    name = Path("/proc/self/comm").read_text().strip()

    assert preflight.port_holder("127.0.0.1", taken_port) == f"{name} (process {os.getpid()})"


def test_a_port_that_another_address_holds_is_taken_for_every_address(taken_port: int) -> None:
    assert preflight.port_holder("0.0.0.0", taken_port) is not None


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_that_is_not_this_machines_is_a_wrong_setting(host: str) -> None:
    with pytest.raises(SettingsInvalid):
        preflight.port_holder(host, 8080)


def test_the_facts_are_those_of_this_machine(state_dir, monkeypatch, taken_port: int) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", str(taken_port))

    found = preflight.look(settings.load(state_dir=state_dir / "not" / "made" / "yet"))

    assert 10**8 < found.memory_bytes < 10**14
    assert found.disk_bytes > 0
    assert [(port.number, port.variable) for port in found.ports if port.holder] == [
        (taken_port, "APPLIANCE_GATEWAY__PORT")
    ]
    assert not (state_dir / "not").exists()


def test_the_admin_port_is_looked_at_too_unless_it_is_off_or_any(monkeypatch, taken_port: int) -> None:
    monkeypatch.setenv("APPLIANCE_GATEWAY__PORT", str(free_port()))
    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_PORT", str(taken_port))
    with pytest.raises(PortTaken, match="APPLIANCE_GATEWAY__ADMIN_PORT"):
        preflight.check(settings.load(), Needs(memory_bytes=0, disk_bytes=0, cpu_engine=False))

    monkeypatch.setenv("APPLIANCE_GATEWAY__ADMIN_HOST", "")
    assert len(preflight.look(settings.load()).ports) == 1


def test_what_is_too_little_is_refused_before_anything_is_written(state_dir) -> None:
    tree = settings.load(state_dir=state_dir / "fresh")

    with pytest.raises(NotEnoughDisk):
        preflight.check(tree, Needs(memory_bytes=0, disk_bytes=10**18, cpu_engine=False))

    assert not (state_dir / "fresh").exists()


def test_a_state_directory_that_cannot_be_written_is_refused(state_dir, monkeypatch) -> None:
    monkeypatch.setattr(preflight.os, "access", lambda *_: False)

    with pytest.raises(StateUnusable):
        preflight.look(settings.load(state_dir=state_dir))


@pytest.mark.parametrize(
    ("device", "has_gpu", "cpu"),
    [("cpu", True, True), ("cuda", False, False), ("auto", False, True), ("auto", True, False)],
)
def test_the_engine_runs_on_the_cpu_where_that_is_asked_or_no_driver_is_there(
    monkeypatch, tmp_path, device: str, has_gpu: bool, cpu: bool
) -> None:
    monkeypatch.setenv("APPLIANCE_ENGINE__DEVICE", device)
    monkeypatch.setattr(preflight, "_GPU_FILES", (tmp_path if has_gpu else tmp_path / "none",))

    assert preflight.uses_cpu(settings.load()) is cpu
