"""Stands in for ``appliance engine`` and ``appliance gateway`` where a test is about their parent.

    python appliance_process.py engine|gateway --state-dir DIRECTORY

``FAKE_ENGINE`` chooses the engine's fault: ``dies`` ends with a known failure,
``crashes`` with an unknown one, ``stubborn`` ignores SIGTERM and has a child
that does too. ``FAKE_GATEWAY=starting`` is never ready. Each writes its
process ids to ``<state-dir>/<name>.pid`` and its end to ``<name>.end``. The
gateway answers ``/health/ready`` and streams one fixed chat completion.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ANSWER = '{"working":"7+6=13,4+3+1=8","correct_answer":"83","error_type":"addition_carry_dropped","explanation":"7+6=13: 1을 올려요."}'


class Gateway(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(503 if os.environ.get("FAKE_GATEWAY") == "starting" else 200, "application/json", b"{}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        start = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        choice = {"index": 0, "delta": {"content": ANSWER}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7}
        events = [{**start, "choices": [choice]}, {**start, "choices": [], "usage": usage}]
        body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self._answer(200, "text/event-stream", body.encode())

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    name, state_dir = sys.argv[1], Path(sys.argv[3])
    fault = os.environ.get("FAKE_ENGINE", "") if name == "engine" else ""
    pids = [os.getpid()]
    if fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pids.append(subprocess.Popen(["sleep", "600"]).pid)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    fresh = state_dir / f"{name}.pid-new"
    fresh.write_text(" ".join(map(str, pids)))
    fresh.rename(state_dir / f"{name}.pid")
    if fault == "dies":
        sys.stderr.write("talk\nerror: There is not enough free memory for the model. Close other programs.\n")
        sys.exit(69)
    if fault == "crashes":
        raise RuntimeError("secret of the engine")
    try:
        if name == "gateway":
            port = int(os.environ["APPLIANCE_GATEWAY__PORT"])
            http.server.ThreadingHTTPServer(("127.0.0.1", port), Gateway).serve_forever()
        time.sleep(600)
    finally:
        (state_dir / f"{name}.end").write_text(str(time.monotonic()))


main()
