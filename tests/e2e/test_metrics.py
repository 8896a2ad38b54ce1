"""The metrics of a running appliance, with real vLLM behind it."""

from __future__ import annotations

import httpx
import openai
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Box
from tests.promtool import complaints


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and label values, sorted by label name."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_stream_is_counted_by_the_gateway_and_by_the_engine(box: Box) -> None:
    with openai.OpenAI(base_url=box.base_url, api_key=box.key) as client:
        stream = client.chat.completions.create(
            model=box.model,
            messages=[{"role": "user", "content": "Count to twenty."}],
            max_completion_tokens=24,
            stream=True,
            stream_options={"include_usage": True},
        )
        usage = [chunk.usage for chunk in stream if chunk.usage][-1]
        # The same long beginning twice: the second answer takes it from the prefix cache, whole blocks of it.
        question = [{"role": "user", "content": "47 + 38 = 75? " * 40}]
        again = [
            client.chat.completions.create(model=box.model, messages=question, max_completion_tokens=1).usage
            for _ in range(2)
        ][-1]
    cached = again.prompt_tokens_details.cached_tokens
    assert 0 < cached < again.prompt_tokens
    with httpx.Client(base_url=box.admin_url, trust_env=False) as admin:
        own, engine = admin.get("/metrics"), admin.get("/metrics/engine")
    assert (own.status_code, engine.status_code) == (200, 200)
    assert complaints(own.content) == []
    found = samples(own.text)
    assert found["appliance_tokens_total", "e2e", "output"] >= usage.completion_tokens
    assert found["appliance_tokens_total", "e2e", "input"] >= usage.prompt_tokens
    assert found["appliance_tokens_total", "e2e", "cached"] >= cached
    assert found["appliance_requests_total", "e2e", "200", "/v1/chat/completions"] >= 1
    assert found["appliance_time_to_first_token_seconds_count", "interactive"] >= 1
    assert found["appliance_time_between_tokens_seconds_count", "interactive"] >= usage.completion_tokens // 2
    assert found["appliance_engine_ready",] == 1
    theirs = samples(engine.text)
    assert theirs["vllm:generation_tokens_total", "0", box.model] >= usage.completion_tokens
    assert all(name.startswith("vllm:") for name, *_ in theirs)
