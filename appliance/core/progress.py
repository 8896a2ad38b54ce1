"""What an engine's own metrics say of its work: numbers that move only when its core does something.

A hung engine and a saturated one both let a probe wait; only the saturated
one's counters move. Source of the names: vLLM's documentation, "Production metrics".
"""

from __future__ import annotations

#: Tokens that were generated; the first of the numbers that :func:`read` gives.
GENERATED = "vllm:generation_tokens_total"
#: Counters and gauges that only move when the engine core works; the API server alone cannot move them.
METRICS = (
    GENERATED,
    "vllm:prompt_tokens_total",
    "vllm:iteration_tokens_total_count",
    "vllm:kv_cache_usage_perc",
    "vllm:num_requests_running",
)
#: Requests that an engine has not finished.
UNFINISHED = ("vllm:num_requests_running", "vllm:num_requests_waiting")


def read(metrics: str) -> tuple[float, ...]:
    """Sums of :data:`METRICS` over their labels, in that order, from Prometheus text.

    Raises:
        ValueError: a line's value is not a number.
    """
    return tuple(_sums(metrics, METRICS))


def unfinished(metrics: str) -> float:
    """How many requests an engine has not finished, from Prometheus text; raises ValueError as :func:`read`."""
    return sum(_sums(metrics, UNFINISHED))


def _sums(metrics: str, names: tuple[str, ...]) -> list[float]:
    sums = dict.fromkeys(names, 0.0)
    for line in metrics.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in sums:
            sums[name] += float(line.rpartition(" ")[2])
    return list(sums.values())
