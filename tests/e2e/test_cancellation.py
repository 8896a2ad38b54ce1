"""A client that leaves ends its generation, as the engine's own metrics say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.client import say, sdk
from tests.e2e.conftest import Box

#: From the client's leaving to the engine's idleness.
CANCEL_SECONDS = 1.0
#: Far more than an engine on two cores makes before a test leaves, far less than the context holds.
ENOUGH_TOKENS = 1000


class Metrics:
    """The engine's metrics, read over its socket."""

    def __init__(self, box: Box) -> None:
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(box.socket_path)), base_url="http://engine", timeout=30
        )

    def close(self) -> None:
        self._client.close()

    def value(self, name: str) -> float:
        text = self._client.get("/metrics").text
        found = re.findall(rf"^{re.escape(name)}\{{[^}}]*\}} (\S+)$", text, re.MULTILINE)
        assert found, name
        return sum(map(float, found))

    @property
    def running(self) -> float:
        return self.value("vllm:num_requests_running")

    @property
    def generated(self) -> float:
        """Tokens since the start. vLLM 0.32 counts no aborted requests, though it has a label for them."""
        return self.value("vllm:generation_tokens_total")


@pytest.fixture
def metrics(box: Box) -> Iterator[Metrics]:
    found = Metrics(box)
    within(30, lambda: found.running == 0, "the engine is idle before the test")
    yield found
    found.close()


@pytest.fixture(scope="module")
def endless(prepared_state: Path) -> dict[str, object]:
    """A request that goes on until the context is full: its end-of-text tokens are forbidden."""
    ends: list[int] = []
    for name in ("config.json", "generation_config.json"):
        end = json.loads((prepared_state / "active" / name).read_text()).get("eos_token_id", [])
        ends += end if isinstance(end, list) else [end]
    return {"model": "gpt-4o", "messages": say("Count"), "logit_bias": dict.fromkeys(map(str, ends), -100)}


def within(seconds: float, holds: Callable[[], bool], claim: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {claim}"
        time.sleep(0.02)


def test_leaving_a_stream_ends_its_generation_within_a_second(
    box: Box, metrics: Metrics, endless: dict[str, object]
) -> None:
    before = metrics.generated
    with sdk(box) as client:
        stream = client.chat.completions.create(**endless, stream=True)  # type: ignore[call-overload]
        for _ in range(5):
            next(stream)
        assert metrics.running >= 1
        stream.close()
        within(CANCEL_SECONDS, lambda: metrics.running == 0, "no request runs in the engine")
    assert metrics.generated - before < ENOUGH_TOKENS, "it ended because it was left, not because it was done"


def test_leaving_before_the_answer_ends_its_generation_too(
    box: Box, metrics: Metrics, endless: dict[str, object]
) -> None:
    before = metrics.generated
    with (
        httpx.Client(headers={"authorization": f"Bearer {box.key}"}) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(f"{box.base_url}/chat/completions", json=endless, timeout=1.5)
    within(CANCEL_SECONDS, lambda: metrics.running == 0, "no request runs in the engine")
    assert metrics.generated - before < ENOUGH_TOKENS, "it ended because it was left, not because it was done"


def test_every_choice_of_an_abandoned_request_ends(box: Box, metrics: Metrics, endless: dict[str, object]) -> None:
    before = metrics.generated
    with sdk(box) as client:
        stream = client.chat.completions.create(**endless, n=4, stream=True)  # type: ignore[call-overload]
        next(stream)
        within(10, lambda: metrics.running >= 4, "all choices run")
        stream.close()
        within(CANCEL_SECONDS, lambda: metrics.running == 0, "no request runs in the engine")
    assert metrics.generated - before < 4 * ENOUGH_TOKENS, "they ended because they were left"
