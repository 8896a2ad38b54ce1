"""The work of a request, counted, not timed: the same on a slow and on a busy machine.

The composed gateway under uvicorn and uvloop as it is served, with a limited
key, audit and usage, before the benchmark's engine in a process of its own.
What is counted is what its event loop's thread calls: Python functions (a
coroutine that is resumed counts again) and built-in ones. ``python -m
tests.bench.work`` prints the counts, the most frequent calls first;
``tests/gateway/test_work.py`` holds them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvloop

from appliance import logs
from appliance.core.limits import Limits
from appliance.gateway.app import compose
from appliance.gateway.keystore import KeyStore
from appliance.gateway.server import bind, configure
from appliance.settings import Settings
from tests.bench.engine import MODEL, PACED_MODEL

ROOT = Path(__file__).resolve().parents[2]
REQUESTS, TOKENS = 60, 60
LARGE_BYTES = 1_000_000
IDLE_SECONDS = 1.0
#: The engine's answer comes 25 ms later, when the open record is on disk: always the same course of events.
_SHORT: dict[str, Any] = {"model": PACED_MODEL, "max_tokens": 1}


class Client:
    """A blocking client on one kept connection, in another thread than the gateway."""

    def __init__(self, port: int, key: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._key = key

    def request(self, prompt: str = "47 + 38 = 75? " * 70, **fields: Any) -> bytes:
        """The bytes of a chat completion."""
        body = json.dumps({"messages": [{"role": "user", "content": prompt}], **fields}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: box\r\nauthorization: Bearer {self._key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def ask(self, request: bytes, count: int = 1) -> None:
        """One request after the other, each answered whole."""
        for _ in range(count):
            self._socket.sendall(request)
            answer = b""
            while not _is_whole(answer):
                piece = self._socket.recv(65536)
                if not piece:
                    raise ConnectionError(f"closed after {answer[:300]!r}")
                answer += piece
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ConnectionError(repr(answer[:300]))

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return bool(separator) and body.endswith(b"0\r\n\r\n")


@dataclass
class Served:
    """The running gateway: its event loop, and how to ask it."""

    loop: asyncio.AbstractEventLoop
    client: Client

    def counted(self, request: bytes, count: int = 1) -> dict[str, float]:
        """What the event loop's thread calls for so many requests, by place and name.

        Less what it calls anyway in that time: some of it ticks.
        """
        idle = self._calls(lambda: time.sleep(IDLE_SECONDS))
        begun = time.monotonic()
        calls = self._calls(lambda: self.client.ask(request, count))
        share = (time.monotonic() - begun) / IDLE_SECONDS
        return {name: number - idle[name] * share for name, number in calls.items()}

    def _calls(self, work: Callable[[], None]) -> Counter[str]:
        calls: Counter[str] = Counter()

        def note(frame: FrameType, event: str, argument: Any) -> None:
            if event == "call":
                calls[f"{_place(frame.f_code.co_filename)}:{frame.f_code.co_qualname}"] += 1
            elif event == "c_call":
                calls[f"{getattr(argument, '__module__', None) or 'builtin'}.{argument.__qualname__}"] += 1

        self._in_loop(partial(sys.setprofile, note))
        try:
            work()
        finally:
            self._in_loop(partial(sys.setprofile, None))
        return calls

    def transfers(self, request: bytes, count: int) -> tuple[int, int]:
        """System calls with which the event loop's thread reads and writes, for so many requests (proc(5))."""
        numbers: list[int] = []
        self._in_loop(lambda: numbers.append(threading.get_native_id()))
        account = Path(f"/proc/self/task/{numbers[0]}/io")
        before = _transfers(account)
        self.client.ask(request, count)
        after = _transfers(account)
        return after[0] - before[0], after[1] - before[1]

    def peak_bytes(self, request: bytes) -> int:
        """The most memory that is allocated at one time beside what was before."""
        self.client.ask(request)
        tracemalloc.start()
        try:
            self.client.ask(request)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            self.client.ask(request)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    def blocks_left(self, request: bytes, count: int) -> int:
        """Blocks of memory that so many requests leave behind."""
        self.client.ask(request, count)
        gc.collect()
        before = sys.getallocatedblocks()
        self.client.ask(request, count)
        gc.collect()
        return sys.getallocatedblocks() - before

    def _in_loop(self, step: Callable[[], Any]) -> None:
        done = threading.Event()
        self.loop.call_soon_threadsafe(step)
        self.loop.call_soon_threadsafe(done.set)
        if not done.wait(30):
            raise TimeoutError


def _place(file_name: str) -> str:
    return file_name.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2].rpartition("/lib/python")[2]


def _transfers(account: Path) -> tuple[int, int]:
    found = dict(line.split(": ") for line in account.read_text().splitlines())
    return int(found["syscr"]), int(found["syscw"])


def measure() -> dict[str, Any]:
    """Every count, as plain numbers."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="appl-", dir=shared if shared.is_dir() else "/tmp") as name:
        directory = Path(name)
        with _engine(directory / "engine.sock"), _gateway(directory) as served:
            client = served.client
            plain = client.request(**_SHORT)
            few, many = (
                served.counted(client.request(model=PACED_MODEL, stream=True, max_tokens=count))
                for count in (2, 2 + TOKENS)
            )
            reads, writes = served.transfers(plain, REQUESTS)
            first, second = served.counted(plain, REQUESTS), served.counted(plain, REQUESTS)
            return {
                "request": _each(first, REQUESTS),
                "again": sum(second.values()) / REQUESTS,
                "reads": reads / REQUESTS,
                "writes": writes / REQUESTS,
                "token": _each({name: count - few.get(name, 0) for name, count in many.items()}, TOKENS),
                "held": served.peak_bytes(client.request("x" * LARGE_BYTES, **_SHORT)) / LARGE_BYTES,
                "left": served.blocks_left(client.request(model=MODEL, max_tokens=1), 10 * REQUESTS) / REQUESTS / 10,
            }


def _each(calls: dict[str, float], count: int) -> dict[str, float]:
    """Calls of each of so many, the most frequent first; what ticks and what is left of rounding goes."""
    each = {name: round(number / count, 2) for name, number in calls.items()}
    return dict(sorted(((name, number) for name, number in each.items() if number > 0), key=lambda item: -item[1]))


@contextmanager
def _engine(path: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.engine", str(path), "0"], cwd=ROOT)
    try:
        deadline = time.monotonic() + 30
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ChildProcessError("the engine did not start")
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _gateway(directory: Path) -> Iterator[Served]:
    settings = Settings(
        state_dir=directory,
        # One proof is enough: no probe comes between.
        gateway={"port": 1, "admin_port": 0, "probe_interval_seconds": 600.0, "ready_window_seconds": 3600.0},
        engine={"socket_path": directory / "engine.sock"},
    )
    logs.configure(settings.log)
    limits = Limits(10**8, 10**12, 1000, 10**12)
    _, key = KeyStore(settings.key_database_path).create("homework-app", now=time.time(), limits=limits)
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(configure(settings, compose(settings)))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: uvloop.run(serve()), name="gateway", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise ChildProcessError("the gateway did not start")
        time.sleep(0.01)
    try:
        with closing(Client(listener.getsockname()[1], key)) as client:
            client.ask(client.request(**_SHORT), 20)  # fills caches and pools
            yield Served(loops[0], client)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def main() -> None:
    """Print the counts: as JSON, or readable on a terminal."""
    found = measure()
    if "--json" in sys.argv:
        print(json.dumps(found))
        return
    for kind in ("request", "token"):
        print(f"{sum(found[kind].values()):.1f} calls a {kind}")
        for name, count in list(found[kind].items())[:60]:
            print(f"  {count:6.2f}  {name}")
    print(f"{found['again']:.1f} calls a request in a second run")
    print(f"{found['reads']:.2f} system calls that read, {found['writes']:.2f} that write")
    print(f"{found['held']:.2f} times a large body held at the peak, {found['left']:.2f} blocks left by a request")


if __name__ == "__main__":
    main()
