"""Claims about ``core.preflight``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.core import preflight
from appliance.core.preflight import Machine, Needs, Port
from appliance.errors import (
    EngineMissing,
    HardwareMissing,
    NotEnoughDisk,
    NotEnoughMemory,
    OperatorError,
    PortTaken,
    PythonTooOld,
)

GOOD = Machine(
    python=(3, 11),
    memory_bytes=preflight.DEMO_MEMORY_BYTES,
    disk_bytes=preflight.FRESH_DISK_BYTES,
    ports=(Port(8080, "APPLIANCE_GATEWAY__PORT"),),
    cpu_flags=frozenset({"avx2"}),
)
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_a_machine_that_just_has_enough_is_not_refused() -> None:
    assert list(preflight.refusals(GOOD, Needs())) == []


@pytest.mark.parametrize(
    ("change", "kind", "says"),
    [
        ({"python": (3, 10)}, PythonTooOld, "Python 3.10"),
        ({"has_engine": False}, EngineMissing, "vLLM"),
        ({"cpu_flags": frozenset({"sse2"})}, HardwareMissing, "AVX2"),
        ({"memory_bytes": 4_999_999_999}, NotEnoughMemory, "5.0 GB"),
        ({"disk_bytes": 1_999_999_999}, NotEnoughDisk, "2.0 GB"),
        (
            {"ports": (Port(8080, "APPLIANCE_GATEWAY__PORT", "nginx (process 12)"),)},
            PortTaken,
            "Port 8080 is taken by nginx (process 12).",
        ),
    ],
)
def test_what_is_missing_is_refused_with_its_remedy(
    change: dict[str, object], kind: type[OperatorError], says: str
) -> None:
    refusals = list(preflight.refusals(replace(GOOD, **change), Needs()))  # type: ignore[arg-type]

    assert [type(refusal) for refusal in refusals] == [kind]
    assert says in refusals[0].message
    assert refusals[0].remedy


def test_avx2_is_only_asked_of_an_x86_processor_that_is_to_compute() -> None:
    old = replace(GOOD, cpu_flags=frozenset({"sse2"}))

    assert list(preflight.refusals(old, Needs(cpu_engine=False))) == []
    assert list(preflight.refusals(replace(old, cpu="aarch64"), Needs())) == []
    assert list(preflight.refusals(replace(old, cpu_flags=frozenset()), Needs())) == []


def test_available_memory_is_what_the_kernel_says() -> None:
    assert preflight.available_memory_bytes("MemTotal: 9 kB\nMemAvailable:   1000 kB\n") == 1_024_000


def test_a_containers_limit_counts_where_it_is_tighter() -> None:
    meminfo = "MemAvailable:   1000 kB\n"

    assert preflight.available_memory_bytes(meminfo, limit_bytes=500_000, used_bytes=100_000) == 400_000
    assert preflight.available_memory_bytes(meminfo, limit_bytes=2**62, used_bytes=100_000) == 1_024_000
    assert preflight.available_memory_bytes(meminfo, limit_bytes=10, used_bytes=20) == 0


def test_idle_file_cache_does_not_count_as_used() -> None:
    assert preflight.used_memory_bytes("1000\n", "anon 300\ninactive_file 600\n") == 400
    assert preflight.used_memory_bytes("1000\n", "inactive_file 1\ntotal_inactive_file 700\n") == 300
    assert preflight.used_memory_bytes("", "") == 0


def test_flags_are_those_of_the_first_processor() -> None:
    assert preflight.cpu_flags("processor\t: 0\nflags\t\t: fpu avx2\n\nflags\t\t: fpu\n") == {"fpu", "avx2"}
    assert preflight.cpu_flags("") == frozenset()


def test_only_listening_sockets_of_the_port_hold_it() -> None:
    assert preflight.listening_inodes(TCP, 8080) == {"4711"}
    assert preflight.listening_inodes(TCP, 9999) == frozenset()


def test_bytes_are_said_as_people_say_them() -> None:
    assert [preflight.gigabytes(count) for count in (3_500_000_000, 98_362_432)] == ["3.5 GB", "98 MB"]
