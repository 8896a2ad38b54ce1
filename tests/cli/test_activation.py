"""Putting a bundle in use on a running engine: golden questions first, and no moment without a verified model."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable

import pytest

from appliance.bundles import installed, verify
from appliance.cli import activation
from appliance.cli.steps import Steps
from appliance.errors import GoldenFailed, ModelChangeFailed, NotEnoughMemory
from tests.bundles import box, signed
from tests.bundles.signed import NOW
from tests.engine.supervised_engine import SupervisedEngine, until
from tests.engine.test_control import Asker, note, serving

pytestmark = pytest.mark.process
OLD, NEW = "tiny-tutor-1.0.0", "tiny-tutor-2.0.0"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return signed.make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(state_dir, key, tmp_path):
    """Two bundles, the first in use; each has a control directory for the fake engine that serves it."""
    key.write(state_dir / "trust")
    for version in ("1.0.0", "2.0.0"):
        box.put(state_dir, signed.make(tmp_path / version, key, version=version))
    for name in (OLD, NEW):
        (state_dir / "fake" / name).mkdir(parents=True)
        (state_dir / "fake" / name / "answer").write_text("tok0 tok1")
    use(state_dir, OLD)
    return state_dir


@pytest.fixture
def engine(state):
    running = SupervisedEngine(state)
    running.wait_ready()
    until(box.tree(state).control_path.exists, "the control socket")
    yield running
    running.close()


def use(state, name):
    installed.activate(box.tree(state), state / "bundles" / name)


def activate(state, name):
    with installed.change(box.tree(state)):
        verified = box.judge(state).verify(state / "bundles" / name)
        return activation.activate(box.tree(state), verified)


def in_use(state):
    found = installed.active(box.tree(state))
    assert found is not None
    return found.name


def test_new_model_serves_once_it_has_answered_its_golden_questions(state, engine):
    done = activate(state, NEW)
    assert (done.was_running, done.questions) == (True, 1)
    assert serving(engine) == in_use(state) == NEW
    previous = installed.previous(box.tree(state))
    assert previous is not None
    assert previous.name == OLD


def test_wrong_golden_answer_brings_the_old_model_back_and_is_named(state, engine):
    (state / "fake" / NEW / "answer").write_text("nonsense")
    with pytest.raises(GoldenFailed, match=r"1 of 1 golden questions; the first is 'carry'.*does not contain 'tok0'"):
        activate(state, NEW)
    assert serving(engine) == in_use(state) == OLD
    assert not note(engine).exists()


def test_model_that_cannot_be_loaded_leaves_the_old_one_serving_and_says_why(state, engine):
    (state / "fake" / NEW / "exit-at-start").touch()
    with pytest.raises(ModelChangeFailed, match="before its first token"):
        activate(state, NEW)
    assert serving(engine) == in_use(state) == OLD


def test_without_an_engine_the_link_alone_changes(state):
    done = activate(state, NEW)
    assert (done.was_running, done.questions) == (False, 0)
    assert in_use(state) == NEW


def test_too_little_memory_is_said_before_anything_changes(state, key, tmp_path):
    box.put(state, signed.make(tmp_path / "large", key, name="large", version="1.0.0", min_host_bytes=2**49))
    with pytest.raises(NotEnoughMemory):
        activate(state, "large-1.0.0")
    assert in_use(state) == OLD


def test_killed_at_any_of_fifty_moments_the_box_serves_the_verified_model_that_is_in_use(state, engine, key):
    chance = random.Random(6)
    steps = struck(lambda: activate(state, NEW), 0)
    every = list(range(1, steps + 1))
    assert len(every) > 30, "too few moments to choose from"
    moments = (every + chance.choices(every, k=50))[:50]
    ends = set()
    for number, step in enumerate(moments, start=1):
        target = OLD if in_use(state) == NEW else NEW
        struck(lambda name=target: activate(state, name), step)
        until(lambda: is_idle(engine) and not note(engine).exists(), f"settled after step {step}")
        assert serving(engine) == in_use(state), f"after step {step}, kill {number}"
        assert verify.directory(state / "bundles" / in_use(state), key.trusted(), NOW)
        ends.add(in_use(state) == target)
    assert ends == {True, False}, "some moments lie before the change and some after it"
    assert activate(state, OLD if in_use(state) == NEW else NEW).questions == 1


def is_idle(engine):
    """Whether the engine would take an order: a wrong one is refused for what it is."""
    asker = Asker(engine)
    asker.load("/etc")
    refused = asker.step("refused")["key"]
    asker.leave()
    return refused == "model_unusable"


#: What a process does to the world, as Python names it to audit hooks, each before it happens.
STEPS = frozenset({"open", "os.rename", "os.remove", "os.symlink", "socket.connect", "socket.__new__", "os.scandir"})


def struck(work: Callable[[], object], step: int) -> int:
    """Work in a process of its own that is killed before that step; how many steps it took if it was not."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        counted = [0]

        def on_event(event: str, _: object) -> None:
            if event in STEPS or event == "appliance.step":
                counted[0] += 1
                if counted[0] == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        waits = Steps.step
        Steps.step = lambda self, title: (sys.audit("appliance.step"), waits(self, title))[1]
        try:
            sys.addaudithook(on_event)
            work()
            os.write(write_end, str(counted[0]).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as steps:
        took = steps.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert took or status == -signal.SIGKILL, "the child failed"
    return int(took or step)
