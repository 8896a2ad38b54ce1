"""The client of the engine's socket, against servers that are slow, gone, cut off or in a hurry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from appliance.errors import EngineFailed, EngineTimeout, EngineUnavailable
from appliance.gateway import engine_client
from appliance.gateway.caller import Caller
from appliance.gateway.engine_client import HIGH_WATER_BYTES, Abandoned, EngineClient

pytestmark = pytest.mark.anyio
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Engine:
    """A server on a Unix socket that does with its n-th connection what it is told."""

    def __init__(self) -> None:
        self.accepted = 0
        self.gone = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return head + await reader.readexactly(length)


@asynccontextmanager
async def serving(
    path: Path,
    behave: Callable[[Engine, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    **timeouts: float,
) -> AsyncIterator[tuple[Engine, EngineClient]]:
    engine = Engine()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        engine.tasks.append(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await behave(engine, reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_unix_server(accept, path)
    client = new_client(path, **timeouts)
    try:
        yield engine, client
    finally:
        client.close()
        server.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*engine.tasks)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0)


def new_client(path: Path, **timeouts: float) -> EngineClient:
    usual = {"connect_timeout_seconds": 5.0, "first_byte_timeout_seconds": 5.0, "idle_timeout_seconds": 5.0}
    return EngineClient(path, **{**usual, **timeouts})


@pytest.fixture
def path(state_dir: Path) -> Path:
    return state_dir / "engine.sock"


async def answer_all(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await engine.request(reader)
        writer.write(OK)


async def hang(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await engine.request(reader)
    assert await reader.read() == b""
    engine.gone.set()


async def test_request_carries_its_id_its_length_and_nothing_of_the_clients(path: Path) -> None:
    seen: list[bytes] = []

    async def note(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await engine.request(reader))
        writer.write(OK)

    async with serving(path, note) as (_, client):
        response = await client.request("POST", "/v1/completions", b"{}", request_id="req-7")
        assert (response.status, await response.read()) == (200, b"hello")
        response.close()
    (wire,) = seen
    assert wire == (
        b"POST /v1/completions HTTP/1.1\r\nhost: engine\r\nx-request-id: req-7\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )


async def test_connection_is_used_again_after_a_whole_answer(path: Path) -> None:
    async with serving(path, answer_all) as (engine, client):
        for _ in range(3):
            assert await client.fetch("GET", "/x", timeout_seconds=5) == (200, b"hello")
        assert engine.accepted == 1


async def test_connection_is_closed_and_not_used_again_after_an_answer_that_was_dropped(path: Path) -> None:
    async def endless(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(CHUNKED + b"1\r\nx\r\n")
        await reader.read()
        engine.gone.set()

    async with serving(path, endless) as (engine, client):
        response = await client.request("GET", "/x")
        assert await response.pieces() == b"x"
        response.close()
        async with asyncio.timeout(5):
            await engine.gone.wait()
        (await client.request("GET", "/x")).close()
        assert engine.accepted == 2


async def test_kept_connection_that_the_engine_closed_is_replaced_by_a_fresh_one(path: Path) -> None:
    async def once_then_close(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(OK)
        if engine.accepted == 1:
            await engine.request(reader)  # and closes without an answer
        else:
            await reader.read()

    async with serving(path, once_then_close) as (engine, client):
        for _ in range(2):
            assert await client.fetch("GET", "/x", timeout_seconds=5) == (200, b"hello")
        assert engine.accepted == 2


async def test_fresh_connection_that_breaks_is_not_tried_again(path: Path) -> None:
    async def close(engine: Engine, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)

    async with serving(path, close) as (engine, client):
        with pytest.raises(EngineUnavailable) as caught:
            await client.request("GET", "/x")
        assert engine.accepted == 1
    assert int(caught.value.headers["retry-after"]) > 0


async def test_old_idle_connection_is_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "IDLE_SECONDS", 0.0)
    async with serving(path, answer_all) as (engine, client):
        for _ in range(2):
            await client.fetch("GET", "/x", timeout_seconds=5)
        assert engine.accepted == 2


async def test_answer_whose_connection_is_closed_at_once_is_read(path: Path) -> None:
    async def in_a_hurry(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    async with serving(path, in_a_hurry) as (engine, client):
        for _ in range(2):
            assert await client.fetch("GET", "/x", timeout_seconds=5) == (200, b"hello")
        assert engine.accepted == 2


async def test_answer_in_single_bytes_is_read(path: Path) -> None:
    async def drip(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        for byte in CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with serving(path, drip) as (_, client):
        assert await client.fetch("GET", "/x", timeout_seconds=5) == (200, b"hello world")


@pytest.mark.parametrize("sent", [CHUNKED + b"5\r\nhel", OK[:-1], CHUNKED + b"5\r\nhello\r\nzz\r\n"])
async def test_answer_that_is_cut_off_is_a_failure(path: Path, sent: bytes) -> None:
    async def cut(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(sent)

    async with serving(path, cut) as (_, client):
        response = await client.request("GET", "/x")
        with pytest.raises(EngineFailed):
            await response.read()
        response.close()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-"])
async def test_answer_that_does_not_begin_is_a_timeout(path: Path, sent: bytes) -> None:
    async def begin(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(sent)
        await reader.read()

    async with serving(path, begin, first_byte_timeout_seconds=0.05, idle_timeout_seconds=0.05) as (_, client):
        with pytest.raises(EngineTimeout):
            await client.request("GET", "/x")


async def test_answer_that_falls_silent_is_a_timeout(path: Path) -> None:
    async def begin(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        await reader.read()

    async with serving(path, begin, idle_timeout_seconds=0.05) as (_, client):
        response = await client.request("GET", "/x")
        with pytest.raises(EngineTimeout):
            await response.read()
        response.close()


async def test_fetch_has_one_deadline_for_the_whole(path: Path) -> None:
    async with serving(path, hang) as (engine, client):
        with pytest.raises(EngineTimeout):
            await client.fetch("GET", "/x", timeout_seconds=0.05)
        async with asyncio.timeout(5):
            await engine.gone.wait()


async def test_client_that_leaves_closes_the_engines_connection(path: Path) -> None:
    async with serving(path, hang) as (engine, client):
        caller = Caller()
        asking = asyncio.create_task(client.request("GET", "/x", caller=caller))
        await until(lambda: engine.accepted == 1)
        caller.leave()
        with pytest.raises(Abandoned):
            await asking
        async with asyncio.timeout(5):
            await engine.gone.wait()


async def test_cancelled_request_closes_the_engines_connection(path: Path) -> None:
    async with serving(path, hang) as (engine, client):
        asking = asyncio.create_task(client.request("GET", "/x"))
        await until(lambda: engine.accepted == 1)
        asking.cancel()
        async with asyncio.timeout(5):
            await engine.gone.wait()
        assert asking.cancelled()


async def test_slow_client_stops_the_reading_and_bounds_the_memory(path: Path) -> None:
    whole, piece = 32 * HIGH_WATER_BYTES, b"x" * 65_536
    sent = 0

    async def flood(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await engine.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % whole)
        while sent < whole:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()
        await reader.read()

    async with serving(path, flood, idle_timeout_seconds=0.05) as (_, client):
        response = await client.request("GET", "/x")
        connection = response._connection
        await until(lambda: connection._paused)
        await asyncio.sleep(0.2)  # past the engine's silence: it is the client who is slow
        assert sum(map(len, connection.parts)) <= HIGH_WATER_BYTES + 1_048_576
        assert sent < whole / 2
        got = 0
        while data := await response.pieces():
            got += len(data)
        assert got == whole
        response.close()


async def test_nobody_listening_is_unavailable(path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        await new_client(path).request("GET", "/x")
    path.write_bytes(b"")  # noqa: ASYNC240  a file where the socket should be
    with pytest.raises(EngineUnavailable):
        await new_client(path).request("GET", "/x")


async def test_error_answer_has_its_status_and_body(path: Path) -> None:
    async def refuse(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        writer.write(OK.replace(b"200 OK", b"503 X"))

    async with serving(path, refuse) as (_, client):
        assert await client.fetch("GET", "/x", timeout_seconds=5) == (503, b"hello")


async def test_part_of_an_answer_that_was_not_read_never_meets_the_next_request(path: Path) -> None:
    arrived = asyncio.Event()

    async def two_parts(engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await engine.request(reader)
        if engine.accepted == 1:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await writer.drain()
            await arrived.wait()
            writer.write(b"6\r\nSECRET\r\n0\r\n\r\n")
            await engine.request(reader)
        writer.write(OK)

    async with serving(path, two_parts) as (engine, client):
        response = await client.request("POST", "/a")
        assert await response.pieces() == b"first"
        arrived.set()
        await until(lambda: bool(response._connection.complete))
        response.close()  # as after an error in the stream
        response = await client.request("POST", "/b")
        assert await response.read() == b"hello"
        response.close()
        assert engine.accepted == 2
