"""What a model may change in a hardware profile."""

from __future__ import annotations

import pytest

from appliance.core.engine_arguments import EngineArguments
from appliance.errors import ModelUnusable


def test_what_is_stated_comes_back_and_nothing_else():
    values = {"max_model_len_tokens": 2048, "kv_cache_dtype": "fp8", "enforce_eager": False}
    assert EngineArguments.parse("cpu", values).stated() == values
    assert EngineArguments.parse("cpu", {}).stated() == {}


@pytest.mark.parametrize(
    "table",
    [
        3,
        {"trust_remote_code": True},
        {"max_model_len_tokens": 63},
        {"max_model_len_tokens": True},
        {"max_num_seqs": 1.0},
        {"gpu_memory_utilization": 1.0},
        {"gpu_memory_utilization": float("nan")},
        {"kv_cache_dtype": "auto; rm -rf /"},
        {"enforce_eager": 1},
        {"kv_cache_bytes": 2**60},
    ],
)
def test_value_that_is_not_allowed_is_refused(table):
    with pytest.raises(ModelUnusable, match=r"\[engine\.cpu\]"):
        EngineArguments.parse("cpu", table)
