"""A killed engine: an error in the usual form at once, and service again without anybody's help."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.e2e.client import check_error, say, sdk
from tests.e2e.conftest import TIMEOUT_SECONDS, Box

#: An error comes at once; this only bounds the wait on a machine under load.
AT_ONCE_SECONDS = 5.0


@pytest.fixture
def restored(box: Box) -> Iterator[Box]:
    """The box, ready again afterwards whatever the test did to its engine."""
    yield box
    wait_ready(box)


def wait_ready(box: Box) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS / 2
    while httpx.get(f"{box.base_url.removesuffix('/v1')}/health/ready").status_code != httpx.codes.OK:
        assert time.monotonic() < deadline, "service did not resume"
        time.sleep(0.2)


def kill_engine(box: Box) -> None:
    """SIGKILL to every process that was started with the engine's socket: vLLM's server and who holds it."""
    killed = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(box.socket_path).encode() in command and b"vllm" in command:
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(command)
    assert killed, "no engine was found"


def test_sigkill_is_an_error_in_mid_stream_then_503_and_then_service_again(restored: Box) -> None:
    root = restored.base_url.removesuffix("/v1")
    with sdk(restored) as client:
        stream = client.chat.completions.create(
            model="gpt-4o", messages=say("Tell a long story."), max_tokens=1500, stream=True
        )
        next(stream)
        kill_engine(restored)
        with pytest.raises(openai.APIError) as broken:
            list(stream)
        check_error({"error": broken.value.body})

        began = time.monotonic()
        with pytest.raises(openai.InternalServerError) as refused:
            client.chat.completions.create(model="gpt-4o", messages=say("x"), max_tokens=2)
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert (refused.value.status_code, refused.value.code) == (503, "engine_unavailable")
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert httpx.get(f"{root}/health/ready").status_code == 503
        assert httpx.get(f"{root}/health/live").status_code == 200

        wait_ready(restored)
        assert client.chat.completions.create(model="gpt-4o", messages=say("x"), max_tokens=2).choices
