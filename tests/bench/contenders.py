"""What is measured side by side: each started on one core before the same engine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench"
#: Versions measured against; newer ones may do better.
LITELLM = "litellm[proxy]==1.109.1"
VLLM_ROUTER = "vllm-router==0.1.17"
#: The contender has the first core to itself, engine and load share the second.
CONTENDER_CORE, LOAD_CORE = 0, 1


@dataclass
class Target:
    """Where to send requests, and whose work it is."""

    name: str
    port: int
    pid: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    model: str = "bench"

    def cpu_seconds(self) -> float:
        """Processor time so far, with its children."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.pid)) if self.pid else 0.0

    def resident_bytes(self) -> int:
        """Resident memory now, with its children."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _tree(self.pid))
        return pages * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def engine(directory: Path) -> Iterator[tuple[Path, Target]]:
    """The costless engine: its Unix socket, and itself as a target."""
    path, port = directory / "engine.sock", free_port()
    command = [sys.executable, "-m", "tests.bench.engine", str(path), str(port)]
    with _process(command, LOAD_CORE, directory / "engine.log") as pid:
        _wait_for(port, "/v1/models", {})
        yield path, Target("engine, direct", port, pid)


@contextmanager
def gateway(directory: Path, socket_path: Path, core: int = CONTENDER_CORE) -> Iterator[Target]:
    """Our gateway, with a key that has limits, audit and usage on."""
    port, admin_port = free_port(), free_port()
    environment = {
        "APPLIANCE_STATE_DIR": str(directory / "state"),
        "APPLIANCE_GATEWAY__PORT": str(port),
        "APPLIANCE_GATEWAY__ADMIN_PORT": str(admin_port),
        "APPLIANCE_GATEWAY__MAX_RUNNING_REQUESTS": "512",
        "APPLIANCE_ENGINE__SOCKET_PATH": str(socket_path),
    }
    appliance = [sys.executable, "-m", "appliance"]
    limits = ["--requests-per-minute", "100000000", "--tokens-per-minute", "1000000000000"]
    limits += ["--concurrent-requests", "10000", "--tokens-per-day", "1000000000000"]
    made = subprocess.run(
        [*appliance, "keys", "create", "--name", "bench", "--json", *limits],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    headers = {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    with _process([*appliance, "gateway"], core, directory / "gateway.log", environment) as pid:
        _wait_for(port, "/health/ready", {})
        yield Target("this gateway", port, pid, headers)


@contextmanager
def nginx(directory: Path, socket_path: Path) -> Iterator[Target | None]:
    """Debian's nginx, one worker, as a bare reverse proxy: no keys, no limits, no audit."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(
        f"""daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.error warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s; keepalive_requests 1000000;
  upstream engine {{ server unix:{socket_path}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""
    )
    with _process([program, "-c", str(config), "-e", str(directory / "nginx.error")], CONTENDER_CORE, None) as pid:
        _wait_for(port, "/v1/models", {})
        yield Target("nginx (proxy only)", port, pid)


@contextmanager
def litellm(directory: Path, engine_port: int) -> Iterator[Target | None]:
    """LiteLLM's proxy in an environment of its own, one worker, with a master key."""
    python = _environment("litellm", LITELLM)
    if python is None:
        yield None
        return
    port = free_port()
    config = directory / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: bench\n    litellm_params:\n      model: openai/bench\n"
        f"      api_base: http://127.0.0.1:{engine_port}/v1\n      api_key: none\n"
        "general_settings:\n  master_key: sk-bench\nlitellm_settings:\n  telemetry: false\n"
    )
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
    command = [str(python.parent / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    headers = {"authorization": "Bearer sk-bench"}
    with _process([*command, "--num_workers", "1"], CONTENDER_CORE, directory / "litellm.log", environment) as pid:
        _wait_for(port, "/health/liveliness", headers, 120)
        yield Target("LiteLLM proxy", port, pid, headers)


@contextmanager
def vllm_router(directory: Path, engine_port: int) -> Iterator[Target | None]:
    """vLLM's router (Rust), no keys."""
    python = _environment("vllm-router", VLLM_ROUTER)
    if python is None:
        yield None
        return
    port = free_port()
    command = [str(python.parent / "vllm-router"), "--worker-urls", f"http://127.0.0.1:{engine_port}"]
    command += ["--port", str(port), "--host", "127.0.0.1", "--policy", "round_robin"]
    with _process(command, CONTENDER_CORE, directory / "router.log") as pid:
        _wait_for(port, "/v1/models", {}, 60)
        yield Target("vllm-router (Rust)", port, pid)


def _environment(name: str, requirement: str) -> Path | None:
    """A virtual environment with one package; None if it cannot be installed here."""
    directory = CACHE / name
    python = directory / "bin" / "python"
    stamp = directory / "installed"
    if stamp.exists() and stamp.read_text() == requirement:
        return python
    print(f"installing {requirement} into {directory.relative_to(ROOT)} …", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    log = CACHE / f"{name}.log"
    with log.open("wb") as output:
        for command in (
            [sys.executable, "-m", "venv", str(directory)],
            [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", requirement],
        ):
            if subprocess.run(command, stdout=output, stderr=output, check=False).returncode:
                print(f"{requirement} cannot be installed here (see {log.relative_to(ROOT)}): left out", flush=True)
                return None
    stamp.write_text(requirement)
    return python


@contextmanager
def _process(
    command: list[str], core: int, log: Path | None, environment: dict[str, str] | None = None
) -> Iterator[int]:
    output = log.open("wb") if log is not None else subprocess.DEVNULL
    process = subprocess.Popen(
        command,
        stdout=output,
        stderr=output,
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
        # One thread here, so running Python between fork and exec is safe.
        preexec_fn=lambda: os.sched_setaffinity(0, {core % (os.cpu_count() or 1)}),  # noqa: PLW1509
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, path: str, headers: dict[str, str], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
            with urllib.request.urlopen(request, timeout=2) as response:
                if response.status == 200:
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid] + [inner for child in children for inner in _tree(int(child))]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks: float = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
