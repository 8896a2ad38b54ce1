"""Who asked, when, from where, what came of it: on record before the answer, and never a word of content."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from appliance.core import audit_chain
from appliance.core.audit_chain import Record
from appliance.gateway.audit import Audit
from appliance.gateway.keystore import KeyStore
from appliance.gateway.record_reader import RecordReader
from appliance.gateway.record_store import RecordStore
from tests.fakes.engine import MODEL, FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start

CANARY = "secret-of-a-pupil"


def read(path: Path) -> list[Record]:
    with closing(sqlite3.connect(path)) as database:
        return [audit_chain.decode(body) for (body,) in database.execute("SELECT body FROM record ORDER BY sequence")]


def wait_for(path: Path, request_id: str, kind: str = "close") -> Record:
    """The record of a request; those that close one come a moment after the answer."""
    deadline = time.monotonic() + 5
    while True:
        found = [record for record in read(path) if record.request_id == request_id and record.kind == kind]
        if found:
            return found[-1]
        assert time.monotonic() < deadline, f"no {kind} record"
        time.sleep(0.01)


@pytest.fixture
def path(gateway: Gateway) -> Path:
    return gateway.settings.record_database_path


def test_answer_is_recorded_with_who_where_what_and_how_much(gateway: Gateway, path: Path) -> None:
    response = gateway.chat()
    closed = wait_for(path, response.headers["x-request-id"])
    assert closed._replace(at_ms=0, generation_ms=0, queue_ms=0) == Record(
        "close", 0, response.headers["x-request-id"], gateway.key_id, "homework-app", "127.0.0.1", "POST",
        "/v1/chat/completions", MODEL, False, 200, "answered", "", 7, 5, "engine",
    )  # fmt: skip
    opened = wait_for(path, response.headers["x-request-id"], "open")
    assert (opened.app, opened.model, opened.outcome) == ("homework-app", MODEL, "")


def test_record_is_on_disk_when_the_first_byte_arrives(gateway: Gateway, path: Path) -> None:
    gateway.engine.mode = "slow"
    with gateway.client() as client:
        with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
            assert [record.kind for record in read(path) if record.request_id == response.headers["x-request-id"]] == [
                "open"
            ]
        listing = client.get("/v1/models")
        refusal = client.post("/v1/chat/completions", json={})
        unknown = client.get("/v1/secret")
    for whole in (listing, refusal, unknown):
        assert [record.kind for record in read(path) if record.request_id == whole.headers["x-request-id"]] == ["whole"]


@pytest.mark.parametrize("stream", [False, True])
def test_answer_waits_for_its_record_while_the_engine_works(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    written, real = threading.Event(), RecordStore.append

    def slow_disk(store: RecordStore, records: Sequence[Record]) -> None:
        written.wait(10)
        real(store, records)

    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(gateway.chat(stream=stream).status_code))
    before = len(gateway.engine.generations())
    monkeypatch.setattr(RecordStore, "append", slow_disk)
    try:
        asking.start()
        assert gateway.engine.wait_for_generations(before + 1), "the engine does not wait for the disk"
        asking.join(0.2)
        assert not answers, "nothing is answered before it is on record"
    finally:
        written.set()
        asking.join(10)
    assert answers == [200]


def test_refusals_are_recorded_with_their_reason(gateway: Gateway, path: Path) -> None:
    with gateway.client() as client:
        answers = [
            client.post("/v1/chat/completions", json={**CHAT, "messages": CANARY}),
            client.post("/v1/chat/completions", json={**CHAT, "model": CANARY}),
            client.get(f"/{CANARY}"),
            client.put("/v1/models"),
            client.get("/v1/models", headers={"authorization": f"Bearer {CANARY}"}),
            httpx.get(f"{gateway.url}/v1/models"),
        ]
    recorded = [wait_for(path, answer.headers["x-request-id"], "whole") for answer in answers]
    assert [(record.route, record.status, record.outcome, record.error, record.app) for record in recorded] == [
        ("/v1/chat/completions", 400, "refused", "invalid_request", "homework-app"),
        ("/v1/chat/completions", 404, "refused", "model_not_found", "homework-app"),
        ("(unknown)", 404, "refused", "unknown_url", "homework-app"),
        ("/v1/models", 405, "refused", "method_not_allowed", "homework-app"),
        ("/v1/models", 401, "refused", "invalid_api_key", ""),
        ("/v1/models", 401, "refused", "missing_api_key", ""),
    ]


def test_health_is_not_recorded(gateway: Gateway, path: Path) -> None:
    gateway.chat()
    assert not [record for record in read(path) if record.route.startswith("/health")]


@pytest.mark.parametrize(
    ("mode", "stream", "status", "error"),
    [
        ("fails", False, 502, "engine_failed"),
        ("starting", True, 503, "engine_unavailable"),
        ("dies_in_stream", True, 502, "engine_failed"),
    ],
)
def test_failure_is_recorded_as_one(
    gateway: Gateway, path: Path, mode: str, stream: bool, status: int, error: str
) -> None:
    gateway.engine.mode = mode
    closed = wait_for(path, gateway.chat(stream=stream).headers["x-request-id"])
    assert (closed.status, closed.outcome, closed.error) == (status, "failed", error)
    if mode == "dies_in_stream":
        assert (closed.input_tokens, closed.output_tokens, closed.tokens_from) == (7, 2, "running")


def test_stream_that_the_client_leaves_is_recorded_with_the_tokens_the_engine_counted(
    gateway: Gateway, path: Path
) -> None:
    gateway.engine.mode = "slow"
    gateway.engine.tokens = 1000
    with (
        gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response,
    ):
        next(response.iter_raw())
    assert gateway.engine.wait_for_abandoned(1)
    closed = wait_for(path, response.headers["x-request-id"])
    assert (closed.outcome, closed.tokens_from, closed.input_tokens) == ("cancelled", "running", 7)
    assert 1 <= closed.output_tokens < 1000


def test_unexpected_failure_is_recorded(gateway: Gateway, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr("appliance.gateway.relay.Relay.__call__", explode)
    record = wait_for(path, gateway.chat().headers["x-request-id"], "whole")
    assert (record.status, record.outcome, record.error) == (500, "failed", "internal_error")


def test_strangers_cannot_fill_the_record(gateway: Gateway, path: Path) -> None:
    before = len(read(path))
    with httpx.Client(base_url=gateway.url) as client:
        statuses = {client.get("/v1/models").status_code for _ in range(200)}
    assert statuses == {401}
    assert len(read(path)) - before <= 21


def test_neither_content_nor_key_is_in_any_file_of_the_records(gateway: Gateway, path: Path) -> None:
    with gateway.client() as client:
        for more in ({}, {"stream": True}, {"messages": CANARY}, {"model": CANARY}, {CANARY: 1}):
            asked = {**CHAT, "messages": [{"role": "user", "content": CANARY}], "user": CANARY, **more}
            client.post("/v1/chat/completions", json=asked, headers={"x-request-id": CANARY, "user-agent": CANARY})
        client.get(f"/v1/models/{CANARY}?q={CANARY}")
        client.get(f"/{CANARY}", headers={"authorization": f"Bearer {CANARY}"})
    last = gateway.chat()
    wait_for(path, last.headers["x-request-id"])
    raw = b"".join(file.read_bytes() for file in path.parent.glob("records.*"))
    assert last.headers["x-request-id"].encode() in raw, "the search would find what is there"
    assert CANARY.encode() not in raw
    assert gateway.key.encode() not in raw
    assert gateway.key[-43:].encode() not in raw


def test_model_name_that_is_no_name_stays_out() -> None:
    audit = Audit(lambda *_: None, None, frozenset())  # type: ignore[arg-type,return-value]
    assert audit.model_name("org/llama-3.1:8b@v1") == "org/llama-3.1:8b@v1"
    assert audit.model_name(f"{CANARY} and more") == "(other)"
    assert [audit.model_name(f"m{number}") for number in range(100)][-1] == "(other)"


def test_locked_record_is_503_with_the_remedy_and_service_resumes(gateway: Gateway, path: Path) -> None:
    assert gateway.chat().status_code == 200
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = gateway.chat()
        again = gateway.chat(stream=True)
        unready = httpx.get(f"{gateway.url}/health/ready")
        live = httpx.get(f"{gateway.url}/health/live")
        other.rollback()
    for response in (refused, again, unready):
        assert (response.status_code, response.json()["error"]["code"]) == (503, "audit_unavailable")
        assert int(response.headers["retry-after"]) > 0
    assert live.status_code == 200
    deadline = time.monotonic() + 10
    while gateway.chat().status_code != 200:
        assert time.monotonic() < deadline
    assert RecordReader(path).verify().problem is None


def test_locked_record_is_no_hindrance_where_it_is_not_required(state_dir: Path, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, audit={"required": False}):
        gateway.wait_ready()
        path = gateway.settings.record_database_path
        wait_for(path, gateway.chat().headers["x-request-id"])
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = gateway.chat()
            other.rollback()
        assert answer.status_code == 200
        wait_for(path, answer.headers["x-request-id"])


# --- the process is killed


@pytest.fixture
def killed(state_dir: Path) -> Iterator[tuple[Path, list[str]]]:
    """The records of a gateway process killed by SIGKILL in mid-load, and the ids of the answers clients had."""
    answered: list[str] = []
    with FakeEngine(state_dir / "engine.sock") as engine:
        engine.mode, engine.gap_seconds = "slow", 0.002
        _, key = KeyStore(state_dir / "keys.sqlite3").create("app", now=time.time())
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
        environment = {
            **os.environ,
            "APPLIANCE_GATEWAY__PORT": str(port),
            "APPLIANCE_ENGINE__SOCKET_PATH": str(engine.path),
        }
        command = [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)]
        with (state_dir / "log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stderr=log)
        enough = threading.Event()

        def ask() -> None:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {key}"}
            ) as client:
                while True:
                    try:
                        with client.stream(
                            "POST", "/v1/chat/completions", json={**CHAT, "stream": len(answered) % 2 == 0}
                        ) as response:
                            # The head of an answer is enough: from its first byte on it must be on record.
                            if response.status_code == 200:
                                answered.append(response.headers["x-request-id"])
                            response.read()
                    except httpx.TransportError:
                        if process.poll() is not None:
                            return
                        time.sleep(0.02)
                    if len(answered) > 200:
                        enough.set()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            assert enough.wait(60), (state_dir / "log").read_text()
        finally:
            process.kill()
            process.wait()
            for thread in threads:
                thread.join(20)
        yield state_dir / "records.sqlite3", answered


def test_killed_gateway_loses_no_record_of_an_answered_request(killed: tuple[Path, list[str]]) -> None:
    path, answered = killed
    before = {record.request_id for record in read(path)}
    assert set(answered) <= before
    verdict = RecordReader(path).verify()
    assert verdict.problem is None
    assert verdict.unfinished > 0, "it was killed with requests under way"
    # The next start closes what the kill left open.
    environment = {**os.environ, "APPLIANCE_GATEWAY__PORT": "1"}
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        environment["APPLIANCE_GATEWAY__PORT"] = str(taken.getsockname()[1])
    again = subprocess.Popen(
        [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(path.parent)], env=environment
    )
    try:
        deadline = time.monotonic() + 30
        while RecordReader(path).verify().unfinished:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        again.terminate()
        again.wait(20)
    verdict = RecordReader(path).verify()
    assert (verdict.problem, verdict.unfinished) == (None, 0)
    assert verdict.interrupted > 0
    assert set(answered) <= {record.request_id for record in read(path) if record.kind == "close"}
