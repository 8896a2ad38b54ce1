"""The account of use against the engine's own counters, with streams that are cut off."""

from __future__ import annotations

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.e2e.conftest import APPLIANCE, Box

WORDS = "Explain what went wrong: 47 + 38 = 75. " * 3


def engine_counters(box: Box) -> tuple[int, int]:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(box.socket_path)), base_url="http://engine") as client:
        text = client.get("/metrics").text
    prompt, generated = (
        sum(float(value) for value in re.findall(rf"^vllm:{name}_total\{{[^}}]*\}} (\S+)$", text, re.MULTILINE))
        for name in ("prompt_tokens", "generation_tokens")
    )
    return int(prompt), int(generated)


def account(box: Box) -> dict[str, int]:
    asked = [*APPLIANCE, "usage", "--by", "app", "--json", "--state-dir", str(box.state_dir)]
    rows = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    return {name: sum(row[name] for row in rows) for name in ("requests", "cancelled", "input_tokens", "output_tokens")}


def ask(box: Box, number: int) -> None:
    """One request of three kinds: whole, streamed, streamed and left after a few events."""
    body = {"model": box.model, "messages": [{"role": "user", "content": f"{number} {WORDS}"}], "max_tokens": 40}
    headers = {"authorization": f"Bearer {box.key}"}
    with httpx.Client(base_url=box.base_url, headers=headers, timeout=120, trust_env=False) as client:
        if number % 3 == 0:
            assert client.post("/chat/completions", json=body).status_code == 200
            return
        with client.stream("POST", "/chat/completions", json={**body, "stream": True}) as response:
            assert response.status_code == 200
            for seen, _line in enumerate(response.iter_lines()):
                if number % 3 == 1 and seen >= number:
                    break


def settled(box: Box, requests: int) -> dict[str, int]:
    deadline = time.monotonic() + 20
    while (now := account(box))["requests"] < requests:
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    return now


def test_account_of_use_agrees_with_the_engine_over_whole_answers_streams_and_cut_ones(box: Box) -> None:
    ask(box, 0)
    before, engine_before, began = account(box), engine_counters(box), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ask(box, number), range(30)))
    after, engine_after = settled(box, before["requests"] + 30), engine_counters(box)
    cut = after["cancelled"] - before["cancelled"]
    assert cut >= 7
    # Supervisor and gateway ask for a token every few seconds; theirs are nobody's use.
    probes = (time.monotonic() - began) / 2 + 5
    prompt = after["input_tokens"] - before["input_tokens"]
    generated = after["output_tokens"] - before["output_tokens"]
    assert prompt <= engine_after[0] - engine_before[0] <= prompt + 4 * probes
    # A stream that is cut off may lack the token that was under way.
    assert generated <= engine_after[1] - engine_before[1] <= generated + cut + probes


def test_stream_has_the_bytes_that_the_engine_gives_without_running_counts(box: Box) -> None:
    body = {
        "model": box.model,
        "messages": [{"role": "user", "content": "Count to five."}],
        "max_tokens": 12,
        "temperature": 0,
        "seed": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(box.socket_path)), timeout=60) as direct:
        expected = direct.post("http://engine/v1/chat/completions", json=body).content
    headers = {"authorization": f"Bearer {box.key}"}
    got = httpx.post(
        f"{box.base_url}/chat/completions", json=body, headers=headers, timeout=60, trust_env=False
    ).content
    assert plain(got) == plain(expected)
    assert got.count(b'"usage"') == 1


def plain(stream: bytes) -> bytes:
    """Without what differs from call to call."""
    return re.sub(rb'"(id|created)":("[^"]*"|\d+)', rb'"\1":0', stream)


def test_audit_of_a_running_box_verifies(box: Box) -> None:
    asked = [*APPLIANCE, "report", "--verify-audit", "--json", "--state-dir", str(box.state_dir)]
    told = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    assert told["ok"] is True
