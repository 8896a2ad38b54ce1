"""Alertmanager tells the right people at the right hour, and by default nobody outside: tried on a real Alertmanager."""

from __future__ import annotations

import json
import queue
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.contracts import rulebook

FOLDER = rulebook.ROOT / "deploy" / "alertmanager"
FILE = FOLDER / "alertmanager.yml"
TEMPLATES = FOLDER / "templates" / "appliance.tmpl"
ALERTS = {alert.name: alert for alert in rulebook.rules("alert")}
PATIENCE_SECONDS = 60
ALWAYS = {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
NEVER = {"years": ["2000"]}
needs_alertmanager = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="amtool is absent: apt install prometheus-alertmanager"
)


def configuration(text: str | None = None) -> dict[str, Any]:
    """alertmanager.yml, or a text like it."""
    loaded: dict[str, Any] = yaml.safe_load(text or FILE.read_text(encoding="utf-8"))
    return loaded


def filled_in() -> str:
    """The file with its commented blocks in force, as an operator would fill them in."""
    text = FILE.read_text(encoding="utf-8")
    text = re.sub(r"^( *)# (?=smtp_)", r"\1", text, flags=re.MULTILINE)
    before, receivers, after = re.split(r"^(?=receivers:|# What follows)", text, flags=re.MULTILINE)
    receivers = re.sub(r"^( *)# ", r"\1", receivers, flags=re.MULTILINE)
    return re.sub(r"\{\{ \w+_\w+ \}\}", "127.0.0.1", before + receivers + after)


def test_by_default_no_receiver_sends_anything() -> None:
    assert [set(receiver) for receiver in configuration()["receivers"]] == [{"name"}] * 4
    assert not [key for key in configuration()["global"] if "smtp" in key or "url" in key]


def test_it_is_quiet_from_22_to_8_in_korea() -> None:
    [interval] = configuration()["time_intervals"][0]["time_intervals"]
    assert interval["location"] == "Asia/Seoul"
    assert [(times["start_time"], times["end_time"]) for times in interval["times"]] == [
        ("00:00", "08:00"),
        ("22:00", "24:00"),
    ]


def test_inhibition_speaks_of_alerts_that_exist() -> None:
    for rule in configuration()["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = re.fullmatch(r'alertname =~? "(.*)"', matcher)
            assert pattern, matcher
            assert [name for name in ALERTS if re.fullmatch(pattern[1], name)], matcher
            for name in re.findall(r"\w+", pattern[1]) if re.fullmatch(r"[\w|]+", pattern[1]) else ():
                assert name in ALERTS


@needs_alertmanager
def test_amtool_accepts_the_file_as_it_is_and_filled_in(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "filled")
    filled = tmp_path / "filled" / FILE.name
    filled.write_text(filled_in(), encoding="utf-8")
    receivers = {receiver["name"]: receiver for receiver in configuration(filled_in())["receivers"]}
    for name in ("people", "people-at-once"):
        assert receivers[name]["email_configs"][0]["to"] == "it@127.0.0.1"
        assert receivers[name]["webhook_configs"][0]["url"] == "http://127.0.0.1/alerts"
    assert receivers["watchdog"]["webhook_configs"]
    for path in (FILE, filled):
        done = subprocess.run(["amtool", "check-config", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 templates" in done.stdout


@needs_alertmanager
@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_alert_goes_to_whom_its_severity_says(alert: rulebook.Rule) -> None:
    severity = alert.body["labels"]["severity"]
    who = {"critical": "people-at-once", "warning": "people", "info": "nobody"}[severity]
    done = subprocess.run(
        [
            *("amtool", "config", "routes", "test", f"--config.file={FILE}"),
            f"--verify.receivers={'watchdog' if alert.name == 'Watchdog' else who}",
            *(f"alertname={alert.name}", f"severity={severity}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_alertmanager
@pytest.mark.parametrize(
    ("status", "said"), [("firing", "할 일: 서버를"), ("resolved", "해결되었습니다 / resolved: GPU")]
)
def test_mail_says_in_both_languages_what_to_do(tmp_path: Path, status: str, said: str) -> None:
    labels = {"alertname": "GpuXidReboot", "severity": "critical", "box": "appliance"}
    annotations = {
        **ALERTS["GpuXidReboot"].body["annotations"],
        "summary_ko": "GPU 0 오류",
        "summary_en": "GPU 0 fault",
    }
    at = {"startsAt": "2026-11-23T01:00:00Z", "endsAt": "2026-11-23T02:00:00Z"}
    data = tmp_path / "data.json"
    data.write_text(
        json.dumps(
            {
                "status": status,
                "alerts": [{"status": status, "labels": labels, "annotations": annotations, **at}],
                "commonLabels": labels,
            }
        )
    )
    [subject, text] = [
        subprocess.run(
            [
                *("amtool", "template", "render", f"--template.glob={TEMPLATES}", f"--template.data={data}"),
                f'--template.text={{{{ template "appliance.{part}" . }}}}',
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for part in ("subject", "text")
    ]
    assert "GpuXidReboot (appliance)" in subject
    assert ("긴급 / CRITICAL" if status == "firing" else "해결 / RESOLVED") in subject
    assert said in text
    assert "GPU 0 fault" in text
    # What a clock on a wall in Korea says.
    assert "2026-11-23 10:00" in text
    assert ("– 2026-11-23 11:00 KST" if status == "resolved" else "10:00 KST") in text
    assert ("What to do: Reboot the box" in text) == (status == "firing")


@needs_alertmanager
def test_at_night_critical_gets_through_and_a_warning_waits(tmp_path: Path) -> None:
    with alertmanager(tmp_path, quiet=ALWAYS) as running:
        running.post(named("HostMemoryLow"), named("GpuLost", gpu="0"), named("GpuPowerCap"), named("Watchdog"))
        assert running.told(2) == {("people-at-once", "GpuLost"), ("watchdog", "Watchdog")}
        running.wait_for_log("route is within mute time")
        assert running.sent.empty()


@needs_alertmanager
def test_by_day_a_warning_is_sent(tmp_path: Path) -> None:
    with alertmanager(tmp_path, quiet=NEVER) as running:
        running.post(named("HostMemoryLow"), named("GpuLost", gpu="0"))
        assert running.told(2) == {("people", "HostMemoryLow"), ("people-at-once", "GpuLost")}


@needs_alertmanager
def test_what_follows_from_another_alert_is_not_sent_beside_it(tmp_path: Path) -> None:
    with alertmanager(tmp_path, quiet=NEVER) as running:
        running.post(
            named("GpuLost", gpu="0"),
            *(named("GpuThermalSlowdown", gpu=gpu) for gpu in "01"),
            named("EngineNotGenerating"),
            named("EngineNotReady"),
            named("QueueSaturated"),
            named("FirstTokenTooSlow"),
            *(named(name, certificate="server") for name in ("CertificateEnding", "CertificateEndsInDays")),
            named("CertificateEnding", certificate="ca"),
            named("AuditChainBroken"),
            named("GpuXidRebootedTwice", gpu="0", xid="79"),
            *(named("GpuXidReboot", gpu="0", xid=xid) for xid in ("79", "151")),
        )
        assert running.inhibited() == {
            ("GpuThermalSlowdown", "0"),
            ("EngineNotGenerating", ""),
            ("EngineNotReady", ""),
            ("QueueSaturated", ""),
            ("FirstTokenTooSlow", ""),
            ("CertificateEnding", "server"),
            ("GpuXidReboot", "79"),
        }


def named(name: str, **labels: str) -> dict[str, Any]:
    """An alert as Prometheus would send it."""
    return {"labels": {"alertname": name, **ALERTS[name].body["labels"], **labels}, "annotations": {}}


class Running:
    """A real Alertmanager whose receivers post to this test.

    Attributes:
        url: of its API.
        sent: (receiver, alert) as they arrive.
    """

    def __init__(self, url: str, sent: queue.Queue[tuple[str, str]], log: Path) -> None:
        self.url = url
        self.sent = sent
        self._log = log

    def post(self, *alerts: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=PATIENCE_SECONDS).raise_for_status()

    def told(self, count: int) -> set[tuple[str, str]]:
        """The first so many messages that arrive."""
        return {self.sent.get(timeout=PATIENCE_SECONDS) for _ in range(count)}

    def inhibited(self) -> set[tuple[str, str]]:
        """(alert, card, XID or certificate) of those that another one silences."""
        alerts = httpx.get(f"{self.url}/api/v2/alerts", timeout=PATIENCE_SECONDS).json()
        return {
            (label["alertname"], label.get("xid") or label.get("gpu") or label.get("certificate") or "")
            for alert in alerts
            if alert["status"]["inhibitedBy"]
            for label in [alert["labels"]]
        }

    def wait_for_log(self, text: str) -> None:
        wait(lambda: text in self._log.read_text(encoding="utf-8"), f"no {text!r} in its log")


@contextmanager
def alertmanager(folder: Path, quiet: dict[str, Any]) -> Iterator[Running]:
    """Alertmanager with this file, its waits cut to nothing, its receivers here, and other quiet hours."""
    sent: queue.Queue[tuple[str, str]] = queue.Queue()
    with _webhook(sent) as port:
        changed = configuration()
        for receiver in changed["receivers"]:
            receiver["webhook_configs"] = [{"url": f"http://127.0.0.1:{port}/{receiver['name']}"}]
        for route in (changed["route"], *changed["route"]["routes"]):
            route["group_wait"] = "0s"
        # The interval's hours are held above; here it is night, or day, whenever the test runs.
        changed["time_intervals"][0]["time_intervals"] = [quiet]
        changed["templates"] = [str(TEMPLATES)]
        # Who is to receive nothing is told by what does not arrive.
        assert changed["receivers"][0]["name"] == "nobody"
        del changed["receivers"][0]["webhook_configs"]
        file, log = folder / "alertmanager.yml", folder / "log"
        file.write_text(yaml.safe_dump(changed), encoding="utf-8")
        address = f"127.0.0.1:{_free_port()}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *("prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder / 'data'}"),
                    *(f"--web.listen-address={address}", "--cluster.listen-address=", "--log.level=debug"),
                ],
                stdout=output,
                stderr=output,
            )
        try:
            wait(lambda: _is_ready(f"http://{address}/-/ready"), "it does not become ready", process)
            yield Running(f"http://{address}", sent, log)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


@contextmanager
def _webhook(sent: queue.Queue[tuple[str, str]]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the standard library's name
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            sent.put((self.path.strip("/"), body["commonLabels"]["alertname"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def wait(until: Callable[[], bool], complaint: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Until something is so, at most for PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, complaint
        assert process is None or process.poll() is None, complaint
        time.sleep(0.05)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
