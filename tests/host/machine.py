"""A booted Debian machine in a box: systemd-nspawn over a network namespace whose only other end is a LAN peer.

The bare root is made once by debootstrap and kept below ``.cache/host``; each
machine is a layer over it (overlayfs) that is thrown away. The machine's one
network card leads to the peer's namespace, which routes nowhere: a packet for
anybody else ends there, and is seen there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testinfra.backend.local import LocalBackend
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "host"
#: The code names under which debootstrap knows the releases of a kit.
CODENAMES = {"debian-12": "bookworm", "debian-13": "trixie"}
#: What a plain Debian server has beyond the smallest set.
BARE_PACKAGES = "systemd,systemd-sysv,dbus,iproute2,openssl,ca-certificates,procps,kmod"
ADDRESS, SECOND_ADDRESS, PEER_ADDRESS, PREFIX = "10.77.0.2", "10.77.0.3", "10.77.0.1", 24
KIT_PLACE = "/media/kit"
BOOT_SECONDS = 120
NEEDED = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "dpkg-scanpackages": "dpkg-dev",
    "ip": "iproute2",
    "nft": "nftables",
    "tcpdump": "tcpdump",
    "curl": "curl",
}


def missing() -> str:
    """Why no machine can be booted here, as a sentence; empty if one can."""
    if os.geteuid() != 0:
        return "booting a machine needs root"
    absent = [package for name, package in NEEDED.items() if shutil.which(name) is None]
    if absent:
        return f"apt-get install {' '.join(absent)}"
    allowed = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespaces of one's own here ({allowed.stderr.strip()})" if allowed.returncode else ""


def bare_root(codename: str = "bookworm", mirror: str = "http://deb.debian.org/debian") -> Path:
    """The directory of a bare root, made once."""
    root = CACHE / codename
    if not (root / ".whole").is_file():
        making = root.with_name(f".{codename}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        include = f"--include={BARE_PACKAGES}"
        checked(["debootstrap", "--variant=minbase", include, codename, str(making), mirror], timeout=900)
        for package in making.glob("var/cache/apt/archives/*.deb"):
            package.unlink()
        (making / "etc/machine-id").write_text("", encoding="ascii")
        # debootstrap copies this machine's, and its name: a box without a network has neither.
        (making / "etc/resolv.conf").write_text("", encoding="ascii")
        (making / "etc/hostname").write_text("debian\n", encoding="ascii")
        (making / "etc/hosts").write_text("127.0.0.1 localhost debian\n", encoding="ascii")
        (making / ".whole").touch()
        making.rename(root)
    return root


def checked(command: Sequence[str], timeout: float = 120, **options: Any) -> str:
    """Run a program of this machine; what it printed.

    Raises:
        AssertionError: it failed, with its last lines.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    assert done.returncode == 0, f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}"
    return done.stdout


@dataclass
class Result:
    """What a command inside left."""

    rc: int
    out: str


class Inside(LocalBackend):
    """testinfra's way into a machine: nsenter into all its namespaces."""

    NAME = "nspawn"

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def run(self, command: str, *args: str, **_options: Any) -> Any:
        """Run a shell command inside."""
        words = self._machine.enter("/bin/sh", "-c", self.quote(command, *args))
        return self.run_local(" ".join(self.quote("%s", word) for word in words))


@dataclass
class Machine:
    """One machine. Use :func:`booted`.

    Args:
        name: of its namespaces, unique on this machine.
        kit: directory that lies inside at :data:`KIT_PLACE`, read-only.
        layer: directory of what it writes.
        neighbour: another machine, whose LAN peer this one has too; the two do not see each other.
    """

    name: str
    kit: Path
    layer: Path
    neighbour: Machine | None = None
    leader: int = 0
    process: subprocess.Popen[bytes] | None = None
    binds: dict[Path, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Where its file system is seen from here."""
        return self.layer / "root"

    @property
    def box_namespace(self) -> str:
        """Network namespace of the machine."""
        return f"{self.name}-box"

    @property
    def peer_namespace(self) -> str:
        """Network namespace of its only neighbour."""
        return self.neighbour.peer_namespace if self.neighbour else f"{self.name}-lan"

    @property
    def address(self) -> str:
        """Its own on the LAN."""
        return SECOND_ADDRESS if self.neighbour else ADDRESS

    def enter(self, *words: str) -> list[str]:
        """The command line that runs ``words`` inside."""
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        return [
            "nsenter",
            "--target",
            str(self.leader),
            "--all",
            "--wdns=/root",
            "--",
            *clean,
            "LC_ALL=C.UTF-8",
            *words,
        ]

    def beside(self, *words: str) -> list[str]:
        """The command line that runs ``words`` at the LAN peer."""
        return ["ip", "netns", "exec", self.peer_namespace, *words]

    def run(self, *words: str, timeout: float = 60) -> Result:
        """Run a program inside."""
        done = subprocess.run(
            self.enter(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            check=False,
        )
        return Result(done.returncode, done.stdout)

    def check(self, *words: str, timeout: float = 60) -> str:
        """Run a program inside that must succeed; what it printed."""
        result = self.run(*words, timeout=timeout)
        assert result.rc == 0, f"{words} gave {result.rc}:\n{result.out[-6000:]}"
        return result.out

    def host(self) -> Host:
        """The machine as testinfra sees one."""
        return Host(Inside(self))

    def write(self, path: str, content: str, mode: int = 0o600) -> None:
        """Write a file inside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        target.chmod(mode)

    def boot(self) -> None:
        """Start it and wait until systemd has started all it will."""
        if not Path("/run/netns", self.box_namespace).exists():
            self._wire()
        command = [
            *("systemd-nspawn", f"--directory={self.root}", f"--machine={self.name}", "--register=no", "--keep-unit"),
            *("--boot", "--quiet", f"--network-namespace-path=/run/netns/{self.box_namespace}"),
            *("--capability=CAP_NET_ADMIN", "--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            *(f"--bind-ro={self.kit}:{KIT_PLACE}", "--console=pipe"),
            *(f"--bind-ro={here}:{there}" for here, there in self.binds.items()),
        ]
        # Its network is its own, and so are the kernel's settings of it: they are set at boot as on a real box.
        environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
        with (self.layer / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env=environment,
            )
        until(self._find_leader, BOOT_SECONDS, self._console)
        until(self._is_up, BOOT_SECONDS, self._console)

    def halt(self) -> None:
        """Stop it in order."""
        if self.process is not None:
            if self.process.poll() is None and self.leader:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.leader, signal.SIGRTMIN + 4)  # systemd: power off
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process, self.leader = None, 0

    def reboot(self) -> None:
        """Stop it in order and start it again, as a reboot is."""
        self.halt()
        # The wire stays, so that the peer sees every moment; a machine that was off has no packet filter.
        checked(["ip", "netns", "exec", self.box_namespace, "nft", "flush", "ruleset"])
        self.boot()

    def _wire(self) -> None:
        box, peer = self.box_namespace, self.peer_namespace
        for namespace in [box] if self.neighbour else [box, peer]:
            checked(["ip", "netns", "add", namespace])
        # A second machine has a wire of its own, with a route to it alone at the other end.
        near, prefix = ("lan1", 32) if self.neighbour else ("lan0", PREFIX)
        far = ["type", "veth", "peer", "name", near, "netns", peer]
        checked(["ip", "link", "add", "eth0", "netns", box, *far])
        for namespace, link, address in (
            (box, "eth0", f"{self.address}/{PREFIX}"),
            (peer, near, f"{PEER_ADDRESS}/{prefix}"),
        ):
            # Without IPv6 the kernel says nothing by itself on the wire.
            checked(["ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
            checked(["ip", "-n", namespace, "address", "add", address, "dev", link])
            checked(["ip", "-n", namespace, "link", "set", link, "up"])
            checked(["ip", "-n", namespace, "link", "set", "lo", "up"])
        if self.neighbour:
            checked(["ip", "-n", peer, "route", "add", f"{self.address}/32", "dev", near])
        # A way out as far as the box can tell: whatever it would send arrives at the peer, and is counted there.
        checked(["ip", "-n", box, "route", "add", "default", "via", PEER_ADDRESS])

    def _find_leader(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._console()
        children = (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split()
        )
        for child in children:
            status = Path(f"/proc/{child}/status").read_text(encoding="ascii")
            if "NSpid:" in status and status.split("NSpid:")[1].splitlines()[0].split()[-1] == "1":
                self.leader = int(child)
        return self.leader > 0

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running").out.strip() in {"running", "degraded"}

    def _console(self) -> str:
        return (self.layer / "console.log").read_text(encoding="utf-8", errors="replace")[-3000:]


def until(condition: Callable[[], bool], seconds: float, explain: Callable[[], str]) -> None:
    """Wait for a condition; raises AssertionError with an explanation when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.2)


@contextlib.contextmanager
def booted(
    kit: Path,
    name: str = "appliance-test",
    binds: dict[Path, str] | None = None,
    release: str = "debian-12",
    neighbour: Machine | None = None,
) -> Iterator[Machine]:
    """A fresh machine with this release, running; gone at the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    base = bare_root(CODENAMES[release])
    layer = Path(tempfile.mkdtemp(prefix="machine-", dir=CACHE))
    machine = Machine(f"{name}-{os.getpid()}", kit, layer, neighbour, binds=binds or {})
    for part in ("root", "upper", "work"):
        (layer / part).mkdir()
    layers = f"lowerdir={base},upperdir={layer}/upper,workdir={layer}/work"
    checked(["mount", "-t", "overlay", "overlay", "-o", layers, str(machine.root)])
    try:
        machine.boot()
        yield machine
    finally:
        machine.halt()
        for namespace in [machine.box_namespace] if neighbour else [machine.box_namespace, machine.peer_namespace]:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
        checked(["umount", "--lazy", str(machine.root)])
        shutil.rmtree(layer, ignore_errors=True)
