"""Raw bytes on the socket: an OpenAI error or a clean close, never a hang, and the gateway serves on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import pytest

from appliance.gateway.protocol import GatewayProtocol
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import CHAT, Gateway, start

#: Longer than any answer takes; a hang is a failure of the test, not of its patience.
PATIENCE_SECONDS = 10
BODY = json.dumps(CHAT).encode()
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"


@pytest.fixture(autouse=True)
def _serves_afterwards(gateway: Gateway) -> Iterator[None]:
    yield
    gateway.engine.mode = "normal"
    assert gateway.chat().status_code == 200


@dataclass
class Answer:
    """One answer on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert self.headers["x-request-id"].startswith("req-")
        return str(error["code"])


class Wire:
    """A client that speaks bytes."""

    def __init__(self, gateway: Gateway) -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_SECONDS)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *parts: bytes) -> Wire:
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self) -> Answer:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, self.file.read(int(headers["content-length"])))

    def is_closed(self) -> bool:
        """Whether the gateway has closed the connection: waits for it."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def wire(gateway: Gateway) -> Iterator[Wire]:
    with Wire(gateway) as running:
        yield running


def post(gateway: Gateway, extra: bytes = b"", body: bytes | None = BODY) -> bytes:
    length = b"" if body is None else b"content-length: %d\r\n" % len(body)
    return (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: box\r\ncontent-type: application/json\r\n"
        + f"authorization: Bearer {gateway.key}\r\n".encode()
        + extra
        + length
        + b"\r\n"
        + (body or b"")
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"x" * 190,
        b"hello\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health/live HTTP/9.9\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\n\r\n",
        b"CONNECT intranet:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nho st: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n"[:18] + b"\rX: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\nx",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0x5\r\n\r\nhello",
    ],
)
def test_what_is_not_http_is_one_400_and_a_close(wire: Wire, sent: bytes) -> None:
    answer = wire.send(sent).answer()
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert wire.is_closed()


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 4\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding : chunked\r\n",
        b"transfer-encoding:\x0bchunked\r\n",
    ],
)
def test_second_request_cannot_be_smuggled_in_by_double_framing(gateway: Gateway, wire: Wire, framing: bytes) -> None:
    hidden = b"0\r\n\r\n" + post(gateway)
    wire.send(post(gateway, framing, None) + hidden)
    assert wire.answer().code in {"invalid_request", "invalid_json"}
    assert wire.is_closed()
    assert gateway.engine.generations() == []


@pytest.mark.parametrize("size", [b"FFFFFFFFFFFFFFFFF", b"-1", b"zz", b"0x5", b""])
def test_chunk_size_that_is_no_size_is_a_400(gateway: Gateway, wire: Wire, size: bytes) -> None:
    wire.send(post(gateway, b"transfer-encoding: chunked\r\n", None) + size + b"\r\n" + BODY)
    assert wire.answer().code == "invalid_request"
    assert wire.is_closed()


def test_huge_chunk_that_never_comes_is_a_408(gateway: Gateway, wire: Wire) -> None:
    wire.send(post(gateway, b"transfer-encoding: chunked\r\n", None) + b"7FFFFFFFFFFFFFF\r\nabc")
    answer = wire.answer()
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert wire.is_closed()


def test_slow_body_is_a_408(gateway: Gateway, wire: Wire) -> None:
    answer = wire.send(post(gateway)[:-5]).answer()
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert wire.is_closed()


def test_announced_body_over_the_cap_is_a_413_before_it_is_sent(gateway: Gateway, wire: Wire) -> None:
    size = gateway.settings.gateway.max_body_bytes + 1
    answer = wire.send(post(gateway, b"content-length: %d\r\n" % size, None)).answer()
    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert wire.is_closed()


def test_chunked_body_over_the_cap_is_a_413(gateway: Gateway, wire: Wire) -> None:
    size = gateway.settings.gateway.max_body_bytes
    wire.send(post(gateway, b"transfer-encoding: chunked\r\n", None), b"%x\r\n" % size, b" " * size, b"\r\n2\r\n{}\r\n")
    answer = wire.answer()
    assert (answer.status, answer.code) == (413, "payload_too_large")


def test_ordinary_client_that_sends_far_too_much_reads_its_413(gateway: Gateway) -> None:
    text = "x" * (4 * gateway.settings.gateway.max_body_bytes)
    response = gateway.chat(messages=[{"role": "user", "content": text}])
    assert (response.status_code, response.json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x-many: 1\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\nx-endless: " + b"a" * 40_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 40_000,
    ],
)
def test_headers_over_the_cap_are_a_431(wire: Wire, sent: bytes) -> None:
    answer = wire.send(sent).answer()
    assert (answer.status, answer.code) == (431, "headers_too_large")
    assert wire.is_closed()


@pytest.mark.parametrize("cuts", [(1,), (60,), (4000, 8000), tuple(range(500, 9500, 500))])
def test_headers_under_the_cap_pass_in_any_pieces_before_a_large_body(
    gateway: Gateway, wire: Wire, cuts: tuple[int, ...]
) -> None:
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * 300_000}]}).encode()
    sent = post(gateway, b"x-long: " + b"a" * 9000 + b"\r\n", body)
    places = [0, *cuts, len(sent)]
    for begin, end in pairwise(places):
        wire.send(sent[begin:end])
    assert wire.answer().status == 200


@pytest.mark.parametrize(
    "before",
    [b"", b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"],
    ids=["first request", "kept connection"],
)
@pytest.mark.parametrize("drip", [b"GET / HT", b"GET / HTTP/1.1\r\nhost:", b"\r\n"])
def test_header_that_never_ends_is_given_up(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, before: bytes, drip: bytes
) -> None:
    monkeypatch.setattr(GatewayProtocol, "header_timeout_seconds", 0.1)
    with Wire(gateway) as wire:
        if before:
            assert wire.send(before).answer().status == 200
        assert wire.send(drip).is_closed()


def test_silent_connection_is_given_up(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayProtocol, "header_timeout_seconds", 0.1)
    with Wire(gateway) as wire:
        assert wire.is_closed()


@pytest.mark.parametrize("half", [0.1, 0.5, 0.9])
def test_half_a_request_and_a_goodbye_reaches_no_engine(gateway: Gateway, half: float) -> None:
    sent = post(gateway)
    with Wire(gateway) as wire:
        wire.send(sent[: int(len(sent) * half)])
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
    assert gateway.engine.generations() == []


@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_javas_offer_of_http2_is_declined_and_its_body_read(gateway: Gateway, wire: Wire, pieces: int) -> None:
    sent = post(gateway, OFFER)
    step = -(-len(sent) // pieces)
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.send(*(sent[at : at + step] for at in range(0, len(sent), step)))
    assert wire.answer().status == 200
    assert wire.send(post(gateway)).answer().status == 200, "the connection is kept"
    assert [seen.json["messages"] for seen in gateway.engine.generations()] == [CHAT["messages"]] * 2


def test_offer_with_a_chunked_body_is_read_too(gateway: Gateway, wire: Wire) -> None:
    wire.send(post(gateway, OFFER + b"transfer-encoding: chunked\r\n", None))
    wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert wire.answer().status == 200


def test_websocket_is_declined_and_answered_as_plain_http(gateway: Gateway, wire: Wire) -> None:
    wire.send(
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
        + f"authorization: Bearer {gateway.key}\r\n\r\n".encode()
    )
    assert wire.answer().status == 200


def test_offer_needs_a_key_like_anything_else(wire: Wire) -> None:
    wire.send(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n" + OFFER + b"\r\n")
    assert (answer := wire.answer()).status == 401
    assert answer.code == "missing_api_key"


@pytest.mark.parametrize("second", [b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n", b"\x00\x01\r\n\r\n"])
def test_bytes_behind_a_running_request_do_not_spoil_its_answer(gateway: Gateway, wire: Wire, second: bytes) -> None:
    answer = wire.send(post(gateway) + second).answer()
    assert answer.status == 200
    assert json.loads(answer.body)["choices"]
    assert wire.is_closed(), "the second request has to be sent again"


def test_client_that_pipelines_and_leaves_cancels_its_generation(gateway: Gateway) -> None:
    gateway.engine.mode, gateway.engine.tokens = "slow", 1000
    with Wire(gateway) as wire:
        wire.send(post(gateway))
        assert gateway.engine.wait_for_generations(1)
        wire.send(post(gateway))
    assert gateway.engine.wait_for_abandoned(1)
    assert len(gateway.engine.generations()) == 1


def test_absolute_target_is_judged_by_its_path(gateway: Gateway, wire: Wire) -> None:
    assert wire.send(b"GET http://intranet/health/live HTTP/1.1\r\nhost: x\r\n\r\n").answer().status == 200
    wire.send(b"GET http://x/health/live/../../v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert wire.answer().code == "missing_api_key"
    wire.send(b"GET http://health/v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
    assert wire.answer().code == "missing_api_key"


def test_asterisk_target_is_no_route(gateway: Gateway, wire: Wire) -> None:
    key = f"authorization: Bearer {gateway.key}\r\n\r\n".encode()
    assert wire.send(b"OPTIONS * HTTP/1.1\r\nhost: x\r\n" + key).answer().code == "unknown_url"


def test_http_1_0_is_answered_and_closed(wire: Wire) -> None:
    assert wire.send(b"GET /health/live HTTP/1.0\r\n\r\n").answer().status == 200
    assert wire.is_closed()


def test_expectation_is_met_before_the_body(gateway: Gateway, wire: Wire) -> None:
    wire.send(post(gateway, b"expect: 100-continue\r\n")[: -len(BODY)])
    assert wire.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert wire.file.readline() == b"\r\n"
    assert wire.send(BODY).answer().status == 200


def test_refused_client_that_goes_on_sending_is_cut_off(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatewayProtocol, "header_timeout_seconds", 0.1)
    with Wire(gateway) as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        assert wire.answer().code == "missing_api_key"
        assert wire.send(b"x").is_closed()


def test_caps_come_from_the_settings(state_dir, engine: FakeEngine) -> None:
    for gateway in start(state_dir, engine, max_header_bytes=1024):
        with Wire(gateway) as wire:
            wire.send(b"GET / HTTP/1.1\r\nx-long: " + b"a" * 1100 + b"\r\n\r\n")
            assert wire.answer().code == "headers_too_large"
