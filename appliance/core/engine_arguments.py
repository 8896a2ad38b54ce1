"""What a model may change in a hardware profile: ``[engine.<profile>]`` of its ``bundle.toml``.

An allowlist with ranges. A bundle cannot name a flag of vLLM's: what protects
the box (``command._safety``) is not a model's to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from appliance.errors import ModelUnusable

_KV_CACHE_TYPES = ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")
_RANGES = {
    "max_model_len_tokens": (64, 2**20),
    "max_num_seqs": (1, 4096),
    "max_num_batched_tokens": (64, 2**20),
    "kv_cache_bytes": (64 * 2**20, 2**44),
}
_UTILIZATION = (0.1, 0.98)


@dataclass(frozen=True)
class EngineArguments:
    """Values that replace the profile's own; None leaves the profile's.

    Args:
        max_model_len_tokens: context length.
        max_num_seqs: most sequences generated at once.
        max_num_batched_tokens: most tokens in one step of the engine.
        kv_cache_bytes: memory for keys and values, on the CPU.
        kv_cache_dtype: type of the cached keys and values.
        gpu_memory_utilization: share of the GPU's memory that vLLM may take.
        enforce_eager: no compilation at start.
    """

    max_model_len_tokens: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    kv_cache_bytes: int | None = None
    kv_cache_dtype: str | None = None
    gpu_memory_utilization: float | None = None
    enforce_eager: bool | None = None

    @classmethod
    def parse(cls, profile: str, table: Any) -> EngineArguments:
        """Read one table.

        Args:
            profile: its name, for the message.
            table: parsed TOML.

        Raises:
            ModelUnusable: an unknown name, or a value of the wrong type or out of range.
        """
        if not isinstance(table, Mapping):
            raise _refused(profile, "is no table")
        known = {field.name for field in fields(cls)}
        for name, value in table.items():
            if name not in known:
                raise _refused(profile, f"has an unknown name: {name!r}")
            if not _fits(name, value):
                raise _refused(profile, f"gives {name} a value that is refused")
        return cls(**table)

    def stated(self) -> dict[str, int | float | str | bool]:
        """What is given, by name, in the order of the fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def _fits(name: str, value: Any) -> bool:
    if name in _RANGES:
        low, high = _RANGES[name]
        return type(value) is int and low <= value <= high
    if name == "gpu_memory_utilization":
        return type(value) is float and _UTILIZATION[0] <= value <= _UTILIZATION[1]
    if name == "kv_cache_dtype":
        return value in _KV_CACHE_TYPES
    return type(value) is bool


def _refused(profile: str, what: str) -> ModelUnusable:
    return ModelUnusable(f"The bundle's [engine.{profile}] {what}.")
