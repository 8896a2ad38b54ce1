"""The asker's end of a change of models."""

from __future__ import annotations

import json
import socket

import pytest

from appliance.cli import engine_control
from appliance.cli.engine_control import EngineControl
from appliance.errors import EngineStartFailed, ModelChangeFailed


@pytest.fixture
def engine(state_dir):
    """The other end of a connection, and the connection."""
    path = state_dir / "control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with EngineControl(path) as control:
            end, _ = listener.accept()
            with end:
                yield end, control


def test_no_engine_is_a_connection_error(state_dir):
    with pytest.raises(ConnectionError):
        EngineControl(state_dir / "nothing")


def test_order_and_decision_are_lines_of_json(engine, tmp_path):
    end, control = engine
    control.load(tmp_path)
    control.decided()
    assert [json.loads(line) for line in end.recv(4096).splitlines()] == [{"load": str(tmp_path)}, {"done": True}]


def test_steps_come_one_by_one_however_they_arrive(engine, monkeypatch):
    monkeypatch.setattr(engine_control, "TICK_SECONDS", 0.05)
    end, control = engine
    steps = control.steps()
    end.sendall(b'{"step": "finishing"}\n{"step": "ser')
    assert next(steps) == {"step": "finishing"}
    assert next(steps) == {}, "nothing happened for a while"
    end.sendall(b'ving", "model": "tutor"}\n')
    assert next(steps)["model"] == "tutor"


def test_refusal_is_an_error_with_the_engines_words(engine):
    end, control = engine
    end.sendall(json.dumps({"step": "refused", "message": "Too small.", "remedy": "Buy more."}).encode() + b"\n")
    with pytest.raises(ModelChangeFailed, match=r"Too small\. Buy more\.") as refused:
        next(control.steps())
    assert refused.value.exit_code == 70


def test_engine_that_ends_is_an_error_that_says_what_will_serve(engine):
    end, control = engine
    end.close()
    with pytest.raises(EngineStartFailed, match="bundle list"):
        next(control.steps())
