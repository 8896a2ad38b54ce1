"""Requests that arrive while the engine changes its model wait, and are answered by the new one."""

from __future__ import annotations

import threading
import time

import anyio
import httpx
import pytest

from appliance.core.usage import group
from appliance.errors import EngineBusy, EngineUnavailable
from appliance.gateway import hold
from appliance.gateway.hold import Hold
from appliance.gateway.record_reader import RecordReader
from tests.gateway.conftest import start


def note(path, seconds=60.0):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{time.monotonic() + seconds}\n")


def test_request_waits_for_the_new_engine_and_is_answered(state_dir, engine):
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        note(gateway.settings.switching_path)
        answers = []
        wait_until_held(gateway)
        askers = [threading.Thread(target=ask, args=(gateway, answers)) for _ in range(5)]
        asked_before = len(engine.generations())
        for asker in askers:
            asker.start()
        engine.stop()
        gateway.wait_ready(False)
        assert answers == []
        engine.start()
        time.sleep(0.25)  # they wait for a time that can be told from none
        assert len(engine.generations()) == asked_before, "a request passed while the model was being changed"
        gateway.settings.switching_path.unlink()
        for asker in askers:
            asker.join(15)
        assert [answer.status_code for answer in answers] == [200] * 5
        wait_for_account(gateway, seconds=5 * 0.2)


def ask(gateway, answers):
    answers.append(gateway.chat())


def wait_for_account(gateway, seconds):
    """Until the account of use says that requests waited that long, all together."""
    reader, deadline = RecordReader(gateway.settings.record_database_path), time.monotonic() + 5
    while sum(row["queue_seconds"] for row in group(reader.usage(0, None), ["app"])) < seconds:
        assert time.monotonic() < deadline, "the account does not say that they waited"
        time.sleep(0.02)


async def until(condition):
    with anyio.fail_after(5):
        while True:
            if condition():
                return
            await anyio.sleep(0.01)


def wait_until_held(gateway):
    """Until a request of our own waits: the gateway has seen the note."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with gateway.client(timeout=0.3) as client:
            try:
                client.post("/v1/chat/completions", json={"model": "gpt-4o", "messages": []})
            except httpx.TimeoutException:  # it waits
                return
    raise AssertionError("the gateway did not see the note")


def test_model_list_and_liveness_are_answered_meanwhile(state_dir, engine):
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        note(gateway.settings.switching_path)
        wait_until_held(gateway)
        with gateway.client() as client:
            assert client.get("/v1/models").status_code == 200
            assert client.get("/health/live").status_code == 200


def test_request_that_waits_too_long_gets_503(state_dir, engine):
    for gateway in start(state_dir, engine, switch_deadline_seconds=0.5):
        gateway.wait_ready()
        note(gateway.settings.switching_path)
        wait_until_held(gateway)
        answer = gateway.chat()
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_unavailable"
        assert "retry-after" in answer.headers


def test_note_of_a_dead_engine_ends_by_itself(state_dir, engine):
    for gateway in start(state_dir, engine):
        gateway.wait_ready()
        note(gateway.settings.switching_path, seconds=1.0)
        assert gateway.chat().status_code == 200
        assert gateway.settings.switching_path.exists()


@pytest.mark.anyio
async def test_more_than_may_wait_are_refused_at_once(tmp_path):
    async def proved():
        return True

    note(tmp_path / "note")
    held = Hold(tmp_path / "note", most=1, deadline_seconds=5, prove=proved)
    async with anyio.create_task_group() as group:
        group.start_soon(held.run)
        await until(lambda: held.is_on)
        group.start_soon(held.passed)
        await until(lambda: held.waiting)
        with pytest.raises(EngineBusy):
            await held.passed()
        (tmp_path / "note").unlink()
        await until(lambda: not held.waiting)
        assert not held.is_on
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_requests_pass_in_the_end_although_the_new_engine_gives_no_proof(tmp_path, monkeypatch):
    async def never():
        return False

    monkeypatch.setattr(hold, "PROOF_SECONDS", 0.2)
    monkeypatch.setattr(hold, "RETRY_SECONDS", 0.05)
    note(tmp_path / "note", seconds=0.3)
    held = Hold(tmp_path / "note", most=9, deadline_seconds=5, prove=never)
    async with anyio.create_task_group() as group:
        group.start_soon(held.run)
        await until(lambda: held.is_on)
        await held.passed()
        assert not held.is_on
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_unreadable_note_holds_nobody(tmp_path):
    async def proved():
        return True

    (tmp_path / "note").write_text("soon\n")
    held = Hold(tmp_path / "note", most=1, deadline_seconds=0.1, prove=proved)
    with anyio.move_on_after(0.3):
        await held.run()
    assert not held.is_on
    with pytest.raises(EngineUnavailable):
        await held.passed()
