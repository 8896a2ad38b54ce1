"""What is measured side by side: each on a core of its own before the same engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import environments
from tests.bench.engine import MODEL, PACED_MODEL
from tests.bench.processes import (
    CONTENDER_CORE,
    LOAD_CORE,
    ROOT,
    Failed,
    Target,
    clean_environment,
    free_port,
    started,
    wait_ready,
)

APPLIANCE = [sys.executable, "-m", "appliance"]
DIRECT, OURS, OURS_ON_DISK = "engine, direct", "this gateway", "this gateway, state on disk"
NGINX, ROUTER, LITELLM = "nginx", "vllm-router", "LiteLLM"
#: Limits that are checked and never reached.
LIMITS = ["--requests-per-minute", "100000000", "--tokens-per-minute", "1000000000000"]
LIMITS += ["--concurrent-requests", "10000", "--tokens-per-day", "1000000000000"]


@contextmanager
def engine(directory: Path) -> Iterator[tuple[Path, Target]]:
    """The costless engine: its Unix socket, and itself as a target."""
    path, port, log = directory / "engine.sock", free_port(), directory / "engine.log"
    command = [sys.executable, "-m", "tests.bench.engine", str(path), str(port)]
    with started(command, LOAD_CORE, log) as process:
        wait_ready(process, port, "/v1/models", log)
        yield path, Target(DIRECT, port, process.pid)


@contextmanager
def gateway(name: str, state_dir: Path, socket_path: Path, **more: str) -> Iterator[Target]:
    """Our gateway, with a key that has all four limits; audit and usage are on as on a box."""
    port = free_port()
    environment = clean_environment(
        APPLIANCE_STATE_DIR=str(state_dir),
        APPLIANCE_GATEWAY__PORT=str(port),
        APPLIANCE_GATEWAY__ADMIN_PORT=str(free_port()),
        APPLIANCE_ENGINE__SOCKET_PATH=str(socket_path),
        **more,
    )
    made = subprocess.run(
        [*APPLIANCE, "keys", "create", "--name", "bench", "--json", *LIMITS],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if made.returncode:
        raise Failed(f"no key: {made.stderr[-1000:]}")
    headers = {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    log = state_dir / "gateway.log"
    with started([*APPLIANCE, "gateway"], CONTENDER_CORE, log, environment) as process:
        wait_ready(process, port, "/health/ready", log)
        yield Target(name, port, process.pid, headers)


@contextmanager
def nginx(directory: Path, socket_path: Path) -> Iterator[Target | None]:
    """Debian's nginx, one worker, as a bare reverse proxy: no keys, no limits, no audit."""
    program = _nginx()
    if program is None:
        print("  nginx is not installed (apt-get install nginx-light): left out", flush=True)
        yield None
        return
    port, log = free_port(), directory / "nginx.log"
    config = directory / "nginx.conf"
    # Started by root, its worker would be somebody who cannot reach the engine's socket.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(f"""
{user} daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx.error warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s; keepalive_requests 100000000;
  upstream engine {{ server unix:{socket_path}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
""")
    with started([program, "-c", str(config), "-e", str(directory / "nginx.error")], CONTENDER_CORE, log) as process:
        wait_ready(process, port, "/v1/models", log)
        yield Target(NGINX, port, process.pid)


@contextmanager
def vllm_router(directory: Path, engine_port: int) -> Iterator[Target | None]:
    """vLLM's own router (Rust), without keys."""
    programs = environments.prepare("vllm-router")
    if programs is None:
        yield None
        return
    port, log = free_port(), directory / "router.log"
    command = [str(programs / "vllm-router"), "--worker-urls", f"http://127.0.0.1:{engine_port}"]
    command += ["--port", str(port), "--host", "127.0.0.1", "--policy", "round_robin", "--log-level", "warning"]
    command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    with started(command, CONTENDER_CORE, log) as process:
        wait_ready(process, port, "/v1/models", log)
        yield Target(ROUTER, port, process.pid)


@contextmanager
def litellm(directory: Path, engine_port: int) -> Iterator[Target | None]:
    """LiteLLM's proxy, one worker, with a master key; no database, so neither limits nor an account of use."""
    programs = environments.prepare("litellm")
    if programs is None:
        yield None
        return
    port, log = free_port(), directory / "litellm.log"
    config = directory / "litellm.yaml"
    models = "".join(
        f"  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n"
        f"      api_base: http://127.0.0.1:{engine_port}/v1\n      api_key: none\n"
        for name in (MODEL, PACED_MODEL)
    )
    config.write_text(
        f"model_list:\n{models}general_settings:\n  master_key: sk-bench\nlitellm_settings:\n  telemetry: false\n"
    )
    environment = clean_environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR", NO_DOCS="True")
    command = [str(programs / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    headers = {"authorization": "Bearer sk-bench"}
    with started([*command, "--num_workers", "1"], CONTENDER_CORE, log, environment) as process:
        wait_ready(process, port, "/health/liveliness", log, headers=headers, seconds=180)
        yield Target(LITELLM, port, process.pid, headers)


def versions() -> str:
    """What is compared, in words."""
    program = _nginx()
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stderr if program else ""
    found = re.search(r"nginx/(\S+)", said)
    return (
        f"nginx {found[1] if found else 'missing'}, vllm-router {environments.version('vllm-router')}, "
        f"LiteLLM {environments.version('litellm')}"
    )


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
