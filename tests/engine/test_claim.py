"""The claim on a socket: one engine at a time, and no stale file in its way."""

from __future__ import annotations

import os
import socket
import stat
import time

import pytest

from appliance.engine.claim import Claim
from appliance.errors import AlreadyRunning, StateUnusable
from appliance.settings import Settings


@pytest.fixture
def path(state_dir):
    return state_dir / "run" / "engine.sock"


def bind(path):
    path.parent.mkdir(exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    return server


def test_directory_is_made_and_closed_to_others(path):
    with Claim(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_stale_socket_is_removed(path):
    bind(path).close()
    with Claim(path):
        assert not path.exists()


def test_second_claim_is_refused_while_the_first_is_held_even_if_nobody_listens_yet(path):
    with Claim(path), bind(path):
        with pytest.raises(AlreadyRunning):
            Claim(path, wait_seconds=0)
        assert path.exists()


def test_claim_lives_as_long_as_a_process_that_inherited_it(path):
    first = Claim(path)
    copy = os.dup(first.fileno())
    first.release()
    with pytest.raises(AlreadyRunning):
        Claim(path, wait_seconds=0)
    os.close(copy)
    Claim(path, wait_seconds=0).release()


def test_listener_without_the_claim_is_left_alone(path):
    with bind(path) as server:
        server.listen(1)
        with pytest.raises(AlreadyRunning):
            Claim(path)
        assert path.exists()


def test_listener_with_a_full_queue_is_left_alone(path):
    with bind(path) as server, socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        server.listen(0)
        for client in (one, two):
            client.setblocking(False)
            client.connect_ex(str(path))
        with pytest.raises(AlreadyRunning):
            Claim(path)


def test_refused_claim_gives_its_lock_back(path):
    with bind(path) as server:
        server.listen(1)
        with pytest.raises(AlreadyRunning):
            Claim(path)
    with Claim(path, wait_seconds=0):
        assert not path.exists()


def test_plain_file_in_the_way_is_not_removed(path):
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(StateUnusable, match="no socket"):
        Claim(path)
    assert path.read_text() == "precious"


def test_directory_that_cannot_be_made_is_a_clear_error(state_dir):
    (state_dir / "run").write_text("a file")
    with pytest.raises(StateUnusable):
        Claim(state_dir / "run" / "engine.sock")


def test_socket_gets_its_final_mode(path):
    with Claim(path) as claim, bind(path):
        claim.restrict()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        path.unlink()
        claim.restrict()


def test_number_of_sequences_is_noted_for_the_gateway_and_replaced_by_the_next(state_dir):
    settings = Settings(state_dir=state_dir)
    with Claim(settings.socket_path) as claim:
        claim.note_sequences(settings.sequences_path, 16)
        claim.note_sequences(settings.sequences_path, 256)
    assert settings.sequences_path.read_text() == "256\n"
    assert settings.sequences_path.stat().st_mode & 0o777 == 0o640


def test_note_to_hold_requests_ends_by_itself_and_can_be_taken_back(state_dir):
    settings = Settings(state_dir=state_dir)
    with Claim(settings.socket_path) as claim:
        began = time.monotonic()
        claim.hold_requests(settings.switching_path, 60.0)
        until = float(settings.switching_path.read_text())
        assert began + 59 < until < time.monotonic() + 61
        claim.let_requests_pass(settings.switching_path)
        claim.let_requests_pass(settings.switching_path)
    assert not settings.switching_path.exists()
