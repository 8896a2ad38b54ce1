"""Wrong input stops in preflight with one sentence and its remedy, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.host.conftest import Kit, changed, play
from tests.host.machine import Machine

WRONGS: list[tuple[dict[str, Any], str]] = [
    ({"appliance_lan_subnets": ["10.77.0.2/24"]}, "'10.77.0.2/24' is no subnet of a building. Write it as"),
    ({"appliance_admin_subnets": ["0.0.0.0/0"]}, "'0.0.0.0/0' is no subnet of a building."),
    ({"appliance_lan_subnets": []}, "appliance_lan_subnets is empty. Name at least one subnet"),
    ({"appliance_address": "10.77.0.9"}, "The box has no address '10.77.0.9', it has 10.77.0.2."),
    ({"appliance_ntp_servers": ["pool.ntp.org"]}, "'pool.ntp.org' is no IP address."),
    ({"appliance_admin_keys": []}, "appliance_admin_keys has no usable public SSH key"),
    ({"preflight_spare_disk_gib": 100_000}, "are needed. Free some, or mount a larger disk there."),
    ({"preflight_cpu_memory_gib": 4_000, "preflight_gpu_memory_gib": 4_000}, "GiB of memory and 4000 are needed. Add"),
]


@pytest.fixture(scope="module")
def ready(bare: Machine) -> Machine:
    """The bare machine with Ansible on it, which the installer puts there before the playbook runs."""
    assert play(bare, "--syntax-check").rc == 0
    return bare


@pytest.mark.parametrize(
    ("change", "said"), WRONGS, ids=[next(iter(change)) + str(n) for n, (change, _) in enumerate(WRONGS)]
)
def test_wrong_inventory_stops_before_anything_is_changed(ready: Machine, change: dict[str, Any], said: str) -> None:
    result = play(ready, **change)
    assert result.rc != 0
    assert said in " ".join(result.out.split())
    assert changed(result) == 0


def test_kit_for_a_gpu_is_refused_where_there_is_none(ready: Machine, kit: Kit) -> None:
    stated = {
        "variant": "gpu",
        "release": "debian-12",
        "architecture": "amd64",
        "disk_bytes": 1,
        "made_at": 1,
        "id": "x",
    }
    result = play(ready, "--extra-vars", json.dumps({"kit_checked": {"kit": stated}}), preflight_gpu_memory_gib=1)
    assert result.rc != 0
    assert "The kit is for a GPU and the box has none from NVIDIA." in " ".join(result.out.split())
    assert changed(result) == 0


def test_clock_from_before_the_kit_is_refused(ready: Machine, kit: Kit) -> None:
    stated = {"variant": "cpu", "release": "debian-12", "architecture": "amd64", "disk_bytes": 1, "id": "x"}
    result = play(ready, "--extra-vars", json.dumps({"kit_checked": {"kit": {**stated, "made_at": 2**33}}}))
    assert result.rc != 0
    assert "Set it (date --set=" in " ".join(result.out.split())
    assert changed(result) == 0


def test_kit_signed_by_somebody_else_is_refused(ready: Machine, kit: Kit) -> None:
    other = ready.check("sh", "-c", "openssl ecparam -name prime256v1 -genkey -noout | openssl ec -pubout 2>/dev/null")
    ready.write("/root/kit-key.pem", other)
    try:
        result = play(ready)
    finally:
        ready.write("/root/kit-key.pem", kit.public_key)
    assert result.rc == 1
    assert "The kit is not signed with /root/kit-key.pem. Do not use it" in result.out
