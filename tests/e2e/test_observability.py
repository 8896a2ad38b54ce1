"""Every query of every dashboard and every rule, asked of a real Prometheus that reads the real processes.

Gateway and vLLM under a small load, the exporter over a recorded H100, node
exporter with what ``appliance upkeep`` really found: a real backup, a real
privacy test, real certificates, real packet-filter rules in a network namespace.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.sections import UpkeepSettings
from deploy.grafana.boards import BOARDS
from tests.e2e import prometheus
from tests.e2e.conftest import APPLIANCE, Box, clean_environment, free_port
from tests.e2e.prometheus import Prometheus, QueryFailed
from tests.fakes.network import namespace

#: From the first scrape until every query has an answer, under load, on two busy cores.
DEADLINE_SECONDS = 180
#: As Grafana would put them in for somebody who looks at the last five minutes.
VARIABLES = {"$__range_s": "300", "$__range": "5m", "$__rate_interval": "1m", "$app": ".*"}
RANGE_SECONDS, STEP_SECONDS = 300, 5


#: Where upkeep reads how far the clock is off; only a box installed by the play has it.
NO_CLOCK = (
    {}
    if UpkeepSettings().clock_log_path.is_file()
    else {"appliance_clock_offset_seconds": "no chrony logs how far this machine's clock is off"}
)
#: Panels (dashboard, title, legend) that are empty on this machine, and why that is right.
EMPTY_PANELS = {
    ("overview", "Problems now, and what to do", "{{alertname}}"): "no alert has been firing long enough",
    ("gpu", "Why it does not answer, what the driver asks for", "{{reason}}"): "the recorded card answers",
    ("gpu", "Why it does not answer, what the driver asks for", "{{action}}"): "its driver asks for nothing",
    ("gpu", "XIDs (the card's error numbers)", "{{xid}}"): "the recorded card had no XID",
    **({("overview", "Clock offset", "오차 · offset"): "no chrony logs it here"} if NO_CLOCK else {}),
}
#: Recording rules that are empty on this machine, and why that is right.
EMPTY_RULES: dict[str, str] = {}
#: Series that alerts ask for and that are not there, and why that is right. What an alert asks for is empty while
#: nothing is wrong, so it is its series that must be there.
EMPTY_SERIES = {
    "appliance_gpu_retired_pages_pending": "an H100 remaps rows instead",
    'appliance_gpu_xid_last_timestamp_seconds{action="reboot"}': "the recorded card had no XID",
    "alertmanager_notifications_failed_total": "Alertmanager does not run here",
    **NO_CLOCK,
}


@contextmanager
def load(box: Box) -> Iterator[None]:
    """Two apps that go on asking: streams and whole answers, some cut off, some over a limit, some with a wrong key."""
    batch = _key(box, "night-batch", "--priority", "batch")
    limited = _key(box, "limited", "--requests-per-minute", "1")
    over = threading.Event()
    failed: list[BaseException] = []

    def ask(client: httpx.Client, key: str, *, stream: bool, cut: bool = False) -> int:
        body = {
            "model": box.model,
            "messages": [{"role": "user", "content": "Explain how to add 27 and 38, step by step. " * 4}],
            "max_tokens": 24,
            "stream": stream,
        }
        headers = {"authorization": f"Bearer {key}"}
        with client.stream("POST", "/chat/completions", json=body, headers=headers) as answer:
            for _ in answer.iter_bytes():
                if cut:
                    break
            return answer.status_code

    def go_on() -> None:
        try:
            with httpx.Client(base_url=box.base_url, trust_env=False, timeout=120) as client:
                while not over.is_set():
                    assert ask(client, box.key, stream=True) == httpx.codes.OK
                    assert ask(client, batch, stream=True) == httpx.codes.OK
                    assert ask(client, box.key, stream=False) == httpx.codes.OK
                    ask(client, box.key, stream=True, cut=True)
                    ask(client, limited, stream=False)
                    assert ask(client, "sk-nobody", stream=False) == httpx.codes.UNAUTHORIZED
        except BaseException as err:
            failed.append(err)
            raise

    asking = threading.Thread(target=go_on, name="load")
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join(120)
    assert not failed, failed


def _key(box: Box, name: str, *options: str) -> str:
    made = _appliance(box.state_dir, {}, "keys", "create", "--name", name, "--json", *options)
    return str(json.loads(made)["key"])


def _appliance(state_dir: Path, environment: dict[str, str], *words: str, before: tuple[str, ...] = ()) -> bytes:
    command = [*before, *APPLIANCE, *words, "--state-dir", str(state_dir)]
    done = subprocess.run(command, env=clean_environment(**environment), check=False, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout


def _certificate(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "appliance")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.with_suffix(".key").write_bytes(pem)
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def upkeep(box: Box, folder: Path) -> Iterator[Path]:
    """A folder with the textfile that a real ``appliance upkeep`` wrote."""
    recovery = folder / "recovery.key"
    keygen = [*APPLIANCE, "backup", "keygen", "--out", str(recovery), "--json"]
    public = json.loads(subprocess.check_output(keygen, env=clean_environment()))
    gateway = httpx.URL(box.base_url)
    environment = {
        "APPLIANCE_GATEWAY__PORT": str(gateway.port),
        "APPLIANCE_GATEWAY__ADMIN_PORT": str(httpx.URL(box.admin_url).port),
        "APPLIANCE_BACKUP__RECIPIENT": public["public"],
        "APPLIANCE_BACKUP__DIRECTORY": str(folder / "backups"),
        "APPLIANCE_NETWORK__LAN_SUBNETS": '["192.168.10.0/24"]',
        "APPLIANCE_NETWORK__ADMIN_SUBNETS": '["192.168.20.0/24"]',
    }
    _appliance(box.state_dir, environment, "backup", "create")
    _appliance(box.state_dir, environment, "privacy-test")
    served = _certificate(folder / "server.pem")
    environment |= {
        "APPLIANCE_GATEWAY__TLS_CERTIFICATE_PATH": str(served),
        "APPLIANCE_GATEWAY__TLS_KEY_PATH": str(served.with_suffix(".key")),
        "APPLIANCE_UPKEEP__CA_CERTIFICATE_PATH": str(_certificate(folder / "ca.pem")),
    }
    textfiles = folder / "textfiles"
    textfiles.mkdir()
    with namespace() as network:
        inside = (*network, *_with_users(folder))
        _appliance(box.state_dir, environment, "egress", "--apply", before=inside)
        written = str(textfiles / "appliance.prom")
        _appliance(box.state_dir, environment, "upkeep", "--textfile", written, before=inside)
        yield textfiles


def _with_users(folder: Path) -> tuple[str, ...]:
    """The words before a command for which the appliance's users are there: the rules tell them apart by name."""
    users = folder / "passwd"
    names = ("appliance-engine", "appliance-gateway", "appliance-exporter")
    lines = (f"{name}:x:{60001 + number}:60001::/:/usr/sbin/nologin\n" for number, name in enumerate(names))
    users.write_text(Path("/etc/passwd").read_text(encoding="utf-8") + "".join(lines), encoding="utf-8")
    return ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(users))


@pytest.fixture(scope="module")
def watched(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with everything of a box to read, and the box at work."""
    folder = tmp_path_factory.mktemp("watched")
    exporter, node = free_port(), free_port()
    node_exporter = prometheus.program("prometheus-node-exporter")
    with ExitStack() as stack:
        textfiles = stack.enter_context(upkeep(box, folder))
        replay = [sys.executable, "-m", "tests.fakes.exporter_process", f"--port={exporter}"]
        stack.enter_context(prometheus.process(replay, folder / "exporter.log", cwd=Path(__file__).parents[2]))
        of_node = [
            node_exporter,
            f"--web.listen-address=127.0.0.1:{node}",
            f"--collector.textfile.directory={textfiles}",
        ]
        stack.enter_context(prometheus.process(of_node, folder / "node.log"))
        gateway = httpx.URL(box.admin_url).netloc.decode()
        targets = {
            "gateway": gateway,
            "engine": gateway,
            "gpu": f"127.0.0.1:{exporter}",
            "node": f"127.0.0.1:{node}",
        }
        stack.enter_context(load(box))
        server = stack.enter_context(prometheus.running(folder / "prometheus", targets))
        _until(lambda: [job for job, health in server.healths().items() if health != "up" and job in targets])
        yield server


def _until(unmet: Callable[[], list[str]]) -> None:
    """Until nothing is left unmet; at the deadline, say what is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while found := unmet():
        assert time.monotonic() < deadline, "\n".join(map(str, found))
        time.sleep(1)


def _filled(promql: str) -> str:
    for name, value in VARIABLES.items():
        promql = promql.replace(name, value)
    return promql


def _values(server: Prometheus, promql: str, kind: str) -> list[object]:
    if kind in {"lines", "areas"}:
        return server.range(_filled(promql), RANGE_SECONDS, STEP_SECONDS)
    return server.instant(_filled(promql))


def test_no_query_of_a_dashboard_fails_or_is_empty_without_a_reason(watched: Prometheus) -> None:
    queries = {
        (board.key, panel.title.en, query.legend): (query.promql, panel.kind)
        for board in BOARDS
        for panel in board.panels()
        for query in panel.queries
    }
    assert set(EMPTY_PANELS) <= set(queries), "a reason for a panel that is not there"
    pending = {name: query for name, query in queries.items() if name not in EMPTY_PANELS}

    def empty() -> list[str]:
        for name, (promql, kind) in list(pending.items()):
            try:
                if _values(watched, promql, kind):
                    del pending[name]
            except QueryFailed as err:
                pytest.fail(f"{name}: {err}\n{promql}")
        return [f"{name}: {promql}" for name, (promql, _) in pending.items()]

    _until(empty)
    filled = [name for name in EMPTY_PANELS if _values(watched, *queries[name])]
    assert filled == [], "said to be empty and is not"


def test_no_recording_rule_fails_or_is_empty_without_a_reason(watched: Prometheus) -> None:
    names = {rule["name"] for rule in watched.rules() if rule["type"] == "recording"}
    assert names
    assert set(EMPTY_RULES) <= names, "a reason for a rule that is not there"
    _until(lambda: [name for name in sorted(names - set(EMPTY_RULES)) if not watched.instant(name)])
    assert [name for name in EMPTY_RULES if watched.instant(name)] == [], "said to be empty and is not"
    _until(lambda: [rule["name"] for rule in watched.rules() if rule["health"] == "unknown"])
    assert [(rule["name"], rule.get("lastError")) for rule in watched.rules() if rule["health"] != "ok"] == []


def test_every_series_that_an_alert_asks_for_is_there(watched: Prometheus) -> None:
    alerts = [
        rule
        for path in sorted((prometheus.DEPLOYED / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    asked = {selector for rule in alerts for selector in prometheus.selectors(rule["expr"])}
    assert asked
    assert set(EMPTY_SERIES) <= asked, "a reason for series that no alert asks for"
    _until(lambda: [selector for selector in sorted(asked - set(EMPTY_SERIES)) if not watched.has_series(selector)])
    assert [selector for selector in EMPTY_SERIES if watched.has_series(selector)] == [], "said to be absent and is not"


def test_choices_of_a_dashboard_have_values(watched: Prometheus) -> None:
    choices = {(board.key, label, metric) for board in BOARDS for label, metric in board.choices}
    assert choices
    assert [one for one in choices if not watched.label_values(one[2], one[1])] == []


def test_lights_of_a_box_at_work_are_green(watched: Prometheus) -> None:
    lights = {
        (board.key, panel.title.en): panel
        for board in BOARDS
        for panel in board.panels()
        # How full the disk is, is this machine's matter.
        if panel.kind == "light" and panel.title.en != "Disk"
    }

    def other_than_green() -> list[str]:
        shown = {}
        for name, panel in lights.items():
            (value,) = watched.instant(_filled(panel.queries[0].promql))
            shown[name] = next(state.words.en for state in panel.states if state.value == float(value))
        return [f"{name}: {word}" for name, word in shown.items() if word != lights[name].states[0].words.en]

    assert len(lights) > 5
    _until(other_than_green)


def test_selectors_are_read_from_an_expression() -> None:
    assert prometheus.selectors(
        'sum by (app) (rate(a_total{x!="}",y=~"b.."}[5m])) / on () group_left () (max(a:b:c > 0)) > 1e-9 '
        'or absent(up{job="node"}) or label_replace(c, "where", "$1", "name", "(.*)") offset 1h'
    ) == {'a_total{x!="}",y=~"b.."}', "a:b:c", 'up{job="node"}', "c"}
