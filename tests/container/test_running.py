"""The appliance in containers serves, and each of its processes is as confined as deploy/compose.yaml says."""

from __future__ import annotations

import pytest

from tests.container.conftest import SHELL, UNNEEDED, Box
from tests.container.podman import tried
from tests.e2e import python_sdk

#: From ``podman run`` to the first answer, beyond what the engine itself takes to its first token.
SPARE_SECONDS = 5.0
USERS = {"engine": 10001, "gateway": 10002, "exporter": 10003}
#: Where a process may write; everything else is read-only. The kernel shows the rest as mounts of its own.
WRITABLE = {
    "engine": {"/tmp", "/var/lib/appliance/engine", "/run/appliance"},
    "gateway": {"/tmp", "/var/lib/appliance"},
    "exporter": {"/tmp"},
}
KERNEL = ("/dev", "/proc", "/sys")
#: Podman's own notes for programs inside, which Docker has as well.
NOTES = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv"}


@pytest.mark.parametrize("behaviour", [python_sdk.whole_answer, python_sdk.streamed_answer, python_sdk.json_schema])
def test_official_sdk_is_answered_through_the_published_port(box: Box, behaviour) -> None:
    client = python_sdk.connect(box)
    behaviour(client, box)
    assert box.model in {model.id for model in client.models.list()}


def test_first_answer_comes_soon_after_the_engine_has_started(box: Box) -> None:
    (ready,) = box.engine.events("engine ready")
    print(
        f"\nfirst answer after {box.first_answer_seconds:.1f} s, engine's own start {ready['duration_seconds']:.1f} s"
    )
    print("lowered for this machine:", "; ".join(box.changes) or "nothing")
    assert box.first_answer_seconds <= ready["duration_seconds"] + SPARE_SECONDS


@pytest.mark.parametrize("service", USERS)
def test_every_process_is_an_ordinary_user_without_any_right(box: Box, service: str) -> None:
    processes = box.containers[service].processes()
    assert any("appliance" in line for line in processes.values())
    for process in processes:
        status = dict(line.split(":\t", 1) for line in _status(process))
        assert set(status["Uid"].split()) == {str(USERS[service])}
        assert [int(status[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == [0] * 5
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_engine_has_no_network(box: Box) -> None:
    assert box.engine.run("python", "-c", "import socket; print(socket.if_nameindex())").strip() == "[(1, 'lo')]"
    reach = "import socket; socket.create_connection(('1.1.1.1', 443), 3)"
    failed = tried("exec", box.engine.name, "python", "-c", reach)
    assert failed.returncode != 0
    assert "Network is unreachable" in failed.stderr


@pytest.mark.parametrize("service", USERS)
def test_nothing_can_be_written_but_what_is_named(box: Box, service: str) -> None:
    mounts = box.containers[service].run("python", "-c", "print(open('/proc/self/mounts').read())")
    found = set()
    for line in filter(None, mounts.splitlines()):
        _, place, _, flags, *_ = line.split()
        if "rw" in flags.split(",") and not place.startswith(KERNEL):
            found.add(place)
    assert found - NOTES == WRITABLE[service]


@pytest.mark.parametrize(
    ("service", "others"),
    [
        ("engine", ["/var/lib/appliance/keys.sqlite3", "/var/lib/appliance/records.sqlite3"]),
        ("gateway", ["/var/lib/appliance/active"]),
        ("exporter", ["/run/appliance/engine.sock", "/var/lib/appliance/records.sqlite3"]),
    ],
)
def test_what_is_another_processs_is_not_there(box: Box, service: str, others: list[str]) -> None:
    looked = f"import pathlib; print([p for p in {others} if pathlib.Path(p).exists()])"
    assert box.containers[service].run("python", "-c", looked).strip() == "[]"


@pytest.mark.parametrize("service", USERS)
def test_health_check_passes(box: Box, service: str) -> None:
    assert box.containers[service].healthy()


@pytest.mark.parametrize("service", USERS)
def test_all_this_is_done_without_package_manager_and_shell(box: Box, service: str) -> None:
    """The programs lie under a file that cannot be run, from the start on."""
    absent = UNNEEDED if service == "engine" else (*UNNEEDED, SHELL)
    for program in absent:
        failed = tried("exec", box.containers[service].name, f"/usr/bin/{program}", "--version")
        assert failed.returncode == 126, f"{program}: {failed.stdout}{failed.stderr}"


def _status(process: int) -> list[str]:
    with open(f"/proc/{process}/status", encoding="ascii") as file:  # noqa: PTH123  read at once
        return file.read().splitlines()
