"""What vLLM is told: arguments and environment of the running engine, else of its next start."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from appliance.core.evidence import Result, failed, passed, unknown
from appliance.errors import ApplianceError
from appliance.health.host import Host, Line, arguments

#: ``VLLM_*``, ``HF_*`` and ``DO_NOT_TRACK``: each must be exactly this.
OFFLINE = ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_NETWORK_FLAGS = (
    "--kv-transfer", "--ec-transfer", "--kv-events", "--nnodes", "--node-rank", "--master-addr", "--data-parallel-address",
)  # fmt: skip
_OTHERS_BITS = 0o007

_Look = Callable[[Line, Host], Iterable[str]]


def serialization(host: Host) -> Result:
    """One node, no connector to another, no insecure serialisation."""
    return _judge(host, _serialization)


def code(host: Host) -> Result:
    """Safetensors, and no code of a model's."""
    return _judge(host, _code)


def grammar(host: Host) -> Result:
    """One backend for grammars, by name."""
    return _judge(host, _grammar)


def template(host: Host) -> Result:
    """The bundle's template, never a request's."""
    return _judge(host, _template)


def caps(host: Host) -> Result:
    """A second wall behind the gateway's own caps."""
    return _judge(host, _caps)


def prefix_hash(host: Host) -> Result:
    """A strong hash for shared beginnings of prompts."""
    return _judge(host, _prefix_hash)


def offline(host: Host) -> Result:
    """No statistics, no telemetry, no look-ups."""
    return _judge(host, _offline)


def no_content_logged(host: Host) -> Result:
    """No requests in the log, no documentation and debug routes."""
    return _judge(host, _no_content_logged)


def socket(host: Host) -> Result:
    """A Unix socket that others may not use, and no port."""
    return _judge(host, _socket)


def _serialization(line: Line, _host: Host) -> Iterator[str]:
    yield from (word for word in line.argv if word.startswith(_NETWORK_FLAGS))
    yield from _is_unset(line, "VLLM_ALLOW_INSECURE_SERIALIZATION")


def _code(line: Line, _host: Host) -> Iterator[str]:
    yield from _needs(line, "--load-format", "safetensors")
    yield from _has_not(line, "--trust-remote-code")
    yield from _has(line, "--no-trust-remote-code")


def _grammar(line: Line, _host: Host) -> Iterator[str]:
    try:
        backend = json.loads(_value(line, "--structured-outputs-config") or "{}").get("backend")
    except (ValueError, AttributeError):
        backend = None
    if backend in {None, "auto"}:
        yield "--structured-outputs-config names no backend"


def _template(line: Line, _host: Host) -> Iterator[str]:
    yield from _has(line, "--no-trust-request-chat-template")
    yield from _has_not(line, "--trust-request-chat-template")


def _caps(line: Line, host: Host) -> Iterator[str]:
    yield from _is_set(line, "VLLM_MAX_N_SEQUENCES", str(host.settings.gateway.max_choices))
    yield from _is_set(line, "VLLM_MAX_COMPLETION_PROMPTS", str(host.settings.gateway.max_prompts))


def _prefix_hash(line: Line, _host: Host) -> Iterator[str]:
    if "--no-enable-prefix-caching" not in line.argv:
        yield from _needs(line, "--prefix-caching-hash-algo", "sha256")


def _offline(line: Line, _host: Host) -> Iterator[str]:
    for name in OFFLINE:
        yield from _is_set(line, name, "1")


def _no_content_logged(line: Line, _host: Host) -> Iterator[str]:
    for flag in ("--no-enable-log-requests", "--no-enable-log-outputs", "--disable-fastapi-docs"):
        yield from _has(line, flag)
    yield from _is_unset(line, "VLLM_SERVER_DEV_MODE")


def _socket(line: Line, host: Host) -> Iterator[str]:
    yield from _needs(line, "--uds", str(host.settings.socket_path))
    for flag in ("--host", "--port"):
        yield from _has_not(line, flag)
    if line.running is not None and host.settings.socket_path.exists():
        mode = host.settings.socket_path.stat().st_mode & 0o777
        if mode & _OTHERS_BITS:
            yield f"the socket has mode {mode:o}"


def _judge(host: Host, look: _Look) -> Result:
    try:
        line = _line(host)
    except ApplianceError as err:
        return unknown(f"no launch line can be made: {err.message}", f"실행 명령을 만들 수 없음: {err.message}")
    try:
        odd = list(look(line, host))
    except PermissionError:
        return unknown(
            "this user may not read the engine's environment", "이 사용자는 추론 엔진의 환경 변수를 읽을 수 없음"
        )
    if odd:
        return failed("; ".join(odd), "; ".join(odd))
    if line.running is None:
        return passed("so it is in the line of the next start", "다음 실행 명령에서 확인")
    return passed(f"so it is in process {line.running}", f"실행 중인 프로세스 {line.running}에서 확인")


def _line(host: Host) -> Line:
    running = host.engine()
    if running is None:
        return host.launch_line()
    try:
        environment = dict(word.partition("=")[::2] for word in arguments(running.folder / "environ"))
    except OSError:
        environment = None
    return Line(arguments(running.folder / "cmdline"), environment, running.pid)


def _value(line: Line, flag: str) -> str | None:
    """What follows a flag; the last one counts, as in argparse."""
    for at in range(len(line.argv) - 1, -1, -1):
        if line.argv[at] == flag:
            return line.argv[at + 1] if at + 1 < len(line.argv) else None
        if line.argv[at].startswith(f"{flag}="):
            return line.argv[at].partition("=")[2]
    return None


def _needs(line: Line, flag: str, value: str) -> Iterator[str]:
    if _value(line, flag) != value:
        yield f"{flag} is not {Path(value).name if '/' in value else value}"


def _has(line: Line, flag: str) -> Iterator[str]:
    if flag not in line.argv:
        yield f"{flag} is missing"


def _has_not(line: Line, flag: str) -> Iterator[str]:
    if any(word == flag or word.startswith(f"{flag}=") for word in line.argv):
        yield f"{flag} is given"


def _is_set(line: Line, name: str, value: str) -> Iterator[str]:
    if _environment(line).get(name) != value:
        yield f"{name} is not {value}"


def _is_unset(line: Line, name: str) -> Iterator[str]:
    if name in _environment(line):
        yield f"{name} is set"


def _environment(line: Line) -> dict[str, str]:
    if line.environment is None:
        raise PermissionError
    return dict(line.environment)
