"""Stands in for vLLM as a process: a Unix socket, one-token answers, metrics, and processes below it.

``python vllm_process.py SOCKET CONTROL_DIR``. Faults are files in CONTROL_DIR, looked at each time:

* ``hang``: generations and metrics are accepted and never answered (API server stuck).
* ``core-hang``: generations are never answered, metrics are and stand still (EngineCore stuck).
* ``busy``: generations wait, the counters in the metrics move.
* ``silent-start``: the socket is bound but nobody listens, as while a model loads.
* ``exit-N``: the process exits with N at the next generation; ``exit-at-start``: at once, with 1.
* ``answer``: its content is the answer of every chat. Every answer's ``model`` is the name of CONTROL_DIR.
* ``unfinished-N``: the metrics say that N requests run.
* ``stubborn``: SIGTERM and SIGINT are ignored.

Every process writes a line ``kind pid`` to CONTROL_DIR/pids; received signals go to CONTROL_DIR/signals.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET, CONTROL = sys.argv[1], Path(sys.argv[2])


def fault(name: str) -> bool:
    return (CONTROL / name).exists()


def note(file: str, text: str) -> None:
    with (CONTROL / file).open("a") as lines:
        lines.write(text + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tokens = 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for path in CONTROL.glob("exit-[0-9]*"):
            note("exits", path.name)
            number = int(path.name.removeprefix("exit-"))
            path.unlink()
            os._exit(number)
        while fault("hang") or fault("core-hang") or fault("busy"):
            time.sleep(0.05)
        Handler.tokens += body["max_tokens"]
        answer = (CONTROL / "answer").read_text() if fault("answer") else "1"
        choice = {"text": "1", "message": {"role": "assistant", "content": answer}}
        self._answer(
            json.dumps({"model": CONTROL.name, "choices": [choice], "usage": {"completion_tokens": 1}}).encode()
        )

    def do_GET(self) -> None:
        while fault("hang"):
            time.sleep(0.05)
        if fault("busy"):
            Handler.tokens += 1
        running = sum(int(path.name.removeprefix("unfinished-")) for path in CONTROL.glob("unfinished-*"))
        self._answer(
            f'vllm:generation_tokens_total{{model_name="fake"}} {Handler.tokens}.0\n'
            f'vllm:num_requests_running{{model_name="fake"}} {running}.0\n'.encode()
        )

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("engine", 0)


def below(kind: str, *, escape: bool) -> None:
    """A process below this one that has noted itself; one that escapes leaves session and parent, as a daemon does."""
    noted, write_end = os.pipe()
    if os.fork() == 0:
        if escape:
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        note("pids", f"{kind} {os.getpid()}")
        os.write(write_end, b"1")
        while True:
            time.sleep(60)
    os.read(noted, 1)
    os.close(noted)
    os.close(write_end)


def on_signal(number: int, _frame: object) -> None:
    note("signals", signal.Signals(number).name)
    if not fault("stubborn"):
        os._exit(0)


def main() -> None:
    note("environment", json.dumps(dict(os.environ)))
    if fault("exit-at-start"):
        sys.exit(1)
    below("core", escape=False)
    below("worker", escape=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server = Server(SOCKET, Handler, bind_and_activate=False)
    server.server_bind()
    note("pids", f"api {os.getpid()}")
    if fault("silent-start"):
        threading.Event().wait()
    server.server_activate()
    server.serve_forever()


if __name__ == "__main__":
    # Nothing listens to a client that never comes, but a broken fake must not outlive its tests for ever.
    watchdog = threading.Timer(300, lambda: os._exit(99))
    watchdog.daemon = True
    watchdog.start()
    main()
