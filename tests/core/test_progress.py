"""The engine's counters say whether its core works."""

from __future__ import annotations

import pytest

from appliance.core import progress

PAGE = """# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="m"} 7.0
vllm:generation_tokens_total{engine="1",model_name="m"} 5.0
vllm:prompt_tokens_total{engine="0",model_name="m"} 30.0
vllm:generation_tokens_created{engine="0"} 1.7e+09
"""


def test_counters_are_summed_over_their_labels() -> None:
    assert progress.read(PAGE) == (12.0, 30.0, 0.0, 0.0, 0.0)


def test_generated_tokens_come_first() -> None:
    assert progress.METRICS[0] == progress.GENERATED


def test_page_without_counters_is_all_zeros() -> None:
    assert progress.read("") == (0.0,) * len(progress.METRICS)


def test_nonsense_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="float"):
        progress.read("vllm:prompt_tokens_total{} many")


def test_unfinished_requests_are_those_that_run_and_those_that_wait() -> None:
    page = 'vllm:num_requests_running{engine="0"} 3.0\nvllm:num_requests_waiting{engine="0"} 2.0\n' + PAGE
    assert progress.unfinished(page) == 5.0
    assert progress.unfinished("") == 0.0
