"""That ``make bench`` can be believed: its engine, its client, its tables, and that it leaves nothing running."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.bench import chat, client, contenders, environments, latency, processes, report, streams
from tests.bench.engine import MODEL, PACED_MODEL
from tests.bench.latency import Added
from tests.bench.memory import Memory
from tests.bench.processes import Failed, Target
from tests.bench.report import Figures
from tests.bench.streams import Streams
from tests.bench.throughput import CONNECTIONS, Throughput


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Target]]:
    with contenders.engine(tmp_path_factory.mktemp("bench")) as found:
        yield found


def ask(place: int | str, target: Target, **fields: Any) -> bytes:
    async def once() -> bytes:
        connection = await client.connect(place)
        try:
            return await asyncio.wait_for(connection.ask(chat.wire(target, chat.body(**fields))), 20)
        finally:
            connection.transport.close()

    return uvloop.run(once())


def test_engine_listens_on_its_unix_socket_and_on_its_port(running: tuple[Path, Target]) -> None:
    path, target = running
    for place in (str(path), target.port):
        assert b'"completion_tokens":100' in ask(place, target, model=MODEL)


@pytest.mark.parametrize("model", [MODEL, PACED_MODEL])
def test_stream_is_read_to_its_end(running: tuple[Path, Target], model: str) -> None:
    path, target = running
    answer = ask(str(path), target, model=model, stream=True, max_tokens=5)
    assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


def test_contender_that_does_not_answer_is_named(running: tuple[Path, Target]) -> None:
    unheard = Target("nobody", processes.free_port(), os.getpid())
    with pytest.raises(Failed, match="nobody"):
        latency.measure(running[1], unheard, MODEL, rate=10, seconds=1)


def test_answer_that_is_no_200_is_not_taken_for_one() -> None:
    connection = client.Connection()

    async def refused() -> bytes:
        transport = type("Transport", (), {"write": lambda self, data: None})()
        connection.connection_made(transport)
        answer = connection.ask(b"")
        connection.data_received(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")
        return await answer

    with pytest.raises(ConnectionError, match="429"):
        uvloop.run(refused())


def test_every_token_of_every_stream_is_seen(running: tuple[Path, Target], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS", 8)
    monkeypatch.setattr(streams, "TOKENS", 24)
    found = streams.measure(running[1], spread_seconds=0.1)
    assert found.complete == 8
    assert found.lag_median > 0


def test_time_added_is_measured_against_the_engine_itself(running: tuple[Path, Target]) -> None:
    found = latency.measure(running[1], running[1], PACED_MODEL, rate=20, seconds=1)
    assert found.direct_median > 50


def test_what_was_started_ends_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "child"
    script = (
        "import subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    with processes.started([sys.executable, "-c", script], None, tmp_path / "log") as process:
        while not (note.exists() and note.read_text()):
            assert process.poll() is None
        child = int(note.read_text())
        assert child in processes.tree(process.pid)
    assert process.returncode is not None
    deadline = time.monotonic() + 10
    while is_running(child):  # it has been killed, which takes effect when it is next scheduled
        assert time.monotonic() < deadline


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_process_that_ends_early_is_named_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        processes.started([sys.executable, "-c", "raise SystemExit('no such model')"], None, log) as process,
        pytest.raises(Failed, match=r"(?s)exit status 1.*no such model"),
    ):
        processes.wait_ready(process, processes.free_port(), "/", log, seconds=20)


@pytest.mark.parametrize("name", ["litellm", "vllm-router"])
def test_contender_is_pinned_by_hash(name: str) -> None:
    text = (environments.LOCKS / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert all(re.match(r"[\w.-]+==\S+.*--hash=sha256:[0-9a-f]{64}", line) for line in lines)
    assert environments.version(name)


def test_tables_show_ratios_and_which_bars_are_missed() -> None:
    fast, slow = Throughput(6000.0, 1.0, 160.0), Throughput(50.0, 1.0, 20000.0)
    figures = Figures(
        throughput={
            contenders.OURS: dict.fromkeys(CONNECTIONS, fast),
            contenders.LITELLM: dict.fromkeys(CONNECTIONS, slow),
        },
        added={contenders.OURS: Added(0.4, 3.5, 0.1, 0.2)},
        streams={
            contenders.DIRECT: Streams(0.1, 0.4, 0.0, 0.1, 0.1, 6.0, 256),
            contenders.OURS: Streams(0.2, 0.9, 0.0, 0.3, 0.2, 6.0, 256),
        },
        memory=Memory(60.0, 70.0, 6.0),
    )
    text = "\n".join(figures.lines())
    assert "| LiteLLM | 50 | 50 | 50 | 120.00 |" in text
    assert "| times LiteLLM | 120 | ≥ 60 | met |" in text
    assert text.count("**missed**") == 2


def test_figures_replace_only_what_stands_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(report.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "ROOT", tmp_path)
    before = page.read_text(encoding="utf-8")
    for block in ("figures", "real engine"):
        report.write(block, ["| new |", ""])
        assert f"<!-- {block}: begin -->\n| new |\n<!-- {block}: end -->" in page.read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8").splitlines()[:10] == before.splitlines()[:10]
