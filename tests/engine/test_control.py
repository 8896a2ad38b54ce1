"""Changing the model of a running engine: the link decides, whatever becomes of who asked."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time

import pytest

from appliance import settings
from appliance.engine import control
from tests.engine.supervised_engine import NotifySocket, alive, until

pytestmark = pytest.mark.process


@pytest.fixture
def state(state_dir):
    """Two bundles, the old one in use; each has a control directory for the fake that serves it."""
    for name in ("old", "new"):
        (state_dir / "bundles" / name).mkdir(parents=True)
        (state_dir / "fake" / name).mkdir(parents=True)
    use(state_dir, "old")
    return state_dir


def use(state, name):
    (state / ".active.new").symlink_to(f"bundles/{name}")
    (state / ".active.new").replace(state / "active")


@pytest.fixture
def engine(state, supervised):
    running = supervised()
    running.wait_ready()
    return running


def serving(engine):
    """Which of the two answers now."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.socket_path))
        client = http.client.HTTPConnection("engine")
        client.sock = connection
        client.request("POST", "/v1/completions", json.dumps({"max_tokens": 1}))
        return json.loads(client.getresponse().read())["model"]


class Asker:
    def __init__(self, engine):
        path = settings.load(state_dir=engine.state).control_path
        self._socket = socket.socket(socket.AF_UNIX)
        until(path.exists, "the control socket")
        self._socket.connect(str(path))
        self._socket.settimeout(30)
        self._lines = self._socket.makefile("rb")

    def load(self, directory):
        self._socket.sendall(json.dumps({"load": str(directory)}).encode() + b"\n")

    def step(self, name):
        for line in self._lines:
            step = json.loads(line)
            if step["step"] == name:
                return step
        raise AssertionError(f"no step {name}")

    def decided(self):
        self._socket.sendall(b"{}\n")

    def leave(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._lines.close()


@pytest.fixture
def asker(engine):
    made = Asker(engine)
    yield made
    made._lines.close()
    made._socket.close()


def settled(engine):
    """Until the engine is done with the change and the gateway is told so."""
    until(lambda: engine.events("model settled"), "the change settled")
    until(lambda: not note(engine).exists(), "the note to the gateway taken back")


def note(engine):
    return settings.load(state_dir=engine.state).switching_path


def test_model_that_the_link_names_in_the_end_is_kept(state, engine, asker):
    before = engine.keepers()
    asker.load(state / "bundles" / "new")
    assert asker.step("serving")["model"] == "fake"
    assert serving(engine) == "new"
    assert time.monotonic() < float(note(engine).read_text()) <= time.monotonic() + control.HOLD_SECONDS
    use(state, "new")
    asker.decided()
    assert asker.step("settled")["kept"] is True
    assert not any(alive(pid) for pid in before)
    assert not note(engine).exists()
    assert serving(engine) == "new"


def test_model_that_the_link_does_not_name_goes_again(state, engine, asker):
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    asker.decided()
    assert asker.step("settled")["kept"] is False
    assert serving(engine) == "old"


@pytest.mark.parametrize("name", ["old", "new"])
def test_asker_that_dies_leaves_the_decision_to_the_link(state, engine, asker, name):
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    use(state, name)
    asker.leave()
    settled(engine)
    assert serving(engine) == name


def test_asker_that_dies_while_the_model_loads_changes_nothing(state, engine, asker):
    asker.load(state / "bundles" / "new")
    asker.step("finishing")
    asker.leave()
    settled(engine)
    assert serving(engine) == "old"


def test_model_that_does_not_come_up_gives_way_to_the_old_one_and_says_why(state, engine, asker):
    (state / "fake" / "new" / "exit-at-start").touch()
    asker.load(state / "bundles" / "new")
    failed = asker.step("failed")
    assert failed["key"] == "engine_start_failed"
    assert "before its first token" in failed["message"]
    assert asker.step("settled")["kept"] is False
    assert serving(engine) == "old"


def test_order_that_is_refused_stops_nothing(state, engine, asker):
    before = engine.keepers()
    asker.load("/etc")
    assert asker.step("refused")["key"] == "model_unusable"
    assert engine.keepers() == before
    assert not note(engine).exists()


def test_second_order_is_refused_while_the_first_runs(state, engine, asker):
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    other = Asker(engine)
    other.load(state / "bundles" / "new")
    assert other.step("refused")["key"] == "already_running"
    other.leave()


def test_running_requests_finish_before_the_old_model_stops(state, engine, asker):
    busy = state / "fake" / "old" / "unfinished-3"
    busy.touch()
    asker.load(state / "bundles" / "new")
    asker.step("finishing")
    until(lambda: engine.events("engine finishing"), "it waits for the requests")
    time.sleep(0.3)  # several looks at its metrics
    assert serving(engine) == "old"
    busy.unlink()
    asker.step("serving")
    assert engine.events("engine stopping")[0]["reason"] == "idle"


def test_requests_that_do_not_end_are_cut_off_in_the_end(state, supervised):
    (state / "fake" / "old" / "unfinished-3").touch()
    engine = supervised(drain=0.5)
    engine.wait_ready()
    asker = Asker(engine)
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    assert engine.events("engine stopping")[0]["reason"] == "not idle in time"
    asker.leave()


def test_engine_that_dies_in_the_change_is_started_again_with_what_the_link_names(state, engine, asker):
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    use(state, "new")
    engine.signal(signal.SIGKILL)
    engine.wait_exit()
    assert note(engine).exists(), "it was killed before it could take it back"
    until(lambda: not any(alive(pid) for pid in engine.keepers()), "the engine's processes gone")
    again = type(engine)(state)
    try:
        until(lambda: len(again.events("engine ready")) >= 3, "ready again")
        assert serving(again) == "new"
        assert not note(again).exists()
    finally:
        again.close()


def test_stop_signal_in_the_change_stops_everything(state, engine, asker):
    (state / "fake" / "new" / "silent-start").touch()
    asker.load(state / "bundles" / "new")
    until((state / "fake" / "new" / "pids").exists, "the new model loads")
    engine.signal(signal.SIGTERM)
    assert engine.wait_exit() == 0
    assert not note(engine).exists()


def test_watchdog_has_patience_while_running_requests_finish(state, supervised, tmp_path):
    notified = NotifySocket(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": str(notified.path), "WATCHDOG_USEC": "30000000"}
    engine = supervised(environment=environment, drain=70.0)
    engine.wait_ready()
    asker = Asker(engine)
    asker.load(state / "bundles" / "new")
    asker.step("serving")
    asker.leave()
    lines = notified.lines()
    finishing = next(i for i, line in enumerate(lines) if line.startswith("STATUS=Finishing"))
    assert lines[finishing + 1] == f"WATCHDOG_USEC={(70 + 10 + 50) * 1_000_000}"
    notified.close()


def test_only_owner_and_root_may_order(engine):
    path = settings.load(state_dir=engine.state).control_path
    until(path.exists, "the control socket")
    assert path.stat().st_mode & 0o777 == 0o600
