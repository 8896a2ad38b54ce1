"""Hardware profiles: what vLLM is told on which hardware, each value with the reason for it.

``auto`` takes the largest profile whose memory the GPU has. Memory is compared
with what NVML reports, which is less than what the box says (a "24 GB" L4 with
ECC shows 23,034 MiB).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from appliance.core.engine_arguments import EngineArguments
from appliance.engine.hardware import MIB, Hardware
from appliance.errors import HardwareMissing, SettingsInvalid

T = TypeVar("T")
GIB = 1024**3
#: Ampere. Older GPUs have no bfloat16, in which Llama's weights are published.
MIN_COMPUTE_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A value and why it is what it is."""

    value: T
    reason: str


@dataclass(frozen=True)
class Profile:
    """One hardware class.

    Args:
        name: value of the setting ``engine.profile``.
        kind: device it is for.
        min_memory_bytes: smallest GPU memory it is chosen for by ``auto``.
        example: cards it was written for.
        dtype: type of weights that are not quantized, and of activations.
        max_model_len_tokens: context length; the model's own length caps it.
        max_num_seqs: most sequences generated at once.
        max_num_batched_tokens: most tokens in one step of the engine.
        long_prefill_tokens: most tokens of one prompt in a step that others wait for.
        enforce_eager: no compilation at start.
        kv_cache_dtype: type of the cached keys and values.
        gpu_memory_utilization: share of the GPU's memory that vLLM may take.
        kv_cache_bytes: memory for keys and values, on the CPU.
    """

    name: str
    kind: Literal["cpu", "cuda"]
    min_memory_bytes: int
    example: str
    dtype: Choice[str]
    max_model_len_tokens: Choice[int]
    max_num_seqs: Choice[int]
    max_num_batched_tokens: Choice[int]
    long_prefill_tokens: Choice[int]
    enforce_eager: Choice[bool]
    kv_cache_dtype: Choice[str]
    gpu_memory_utilization: Choice[float] | None = None
    kv_cache_bytes: Choice[int] | None = None


_BFLOAT16 = Choice("bfloat16", "The type Llama is trained and published in; float16 overflows in some of its layers.")
_KV_AS_MODEL = Choice(
    "auto",
    "Keys and values in the model's type: an FP8 cache without calibrated scales costs accuracy in arithmetic, "
    "which is what this box is for.",
)
_COMPILED = Choice(
    False, "Compilation and CUDA graphs cost about 50 s at start (H100, 8B) and are repaid at every token."
)
_FAIR_PREFILL = Choice(
    2048, "A very long prompt shares each step with the others, so their first token does not wait for all of it."
)

CPU = Profile(
    name="cpu",
    kind="cpu",
    min_memory_bytes=0,
    example="any x86-64 with AVX2: evaluation, tests, the demo",
    dtype=Choice("bfloat16", "Half the memory traffic of float32, and the demo model's own type."),
    max_model_len_tokens=Choice(4096, "Both tasks fit four times over; a longer context needs more KV memory."),
    max_num_seqs=Choice(16, "Two cores are busy with fewer; more would only make each of them slower."),
    max_num_batched_tokens=Choice(
        512, "Bounds one step to about a second on two cores: a probe's token must not wait behind a long prompt."
    ),
    long_prefill_tokens=Choice(256, "Half a step: the other half is left for those who wait."),
    enforce_eager=Choice(True, "Ready in 37 to 43 s against 2 minutes with compilation, measured on two cores."),
    kv_cache_dtype=_KV_AS_MODEL,
    kv_cache_bytes=Choice(1 * GIB, "46,592 tokens of the demo model: eleven full contexts."),
)
GPU_16GB = Profile(
    name="gpu-16gb",
    kind="cuda",
    min_memory_bytes=15_000 * MIB,
    example="RTX A4000, RTX 4080",
    dtype=_BFLOAT16,
    max_model_len_tokens=Choice(4096, "An 8B model in 8 or 4 bits leaves 5 to 9 GB: ten to seventeen full contexts."),
    max_num_seqs=Choice(32, "Matches the KV memory at the length of our two tasks (about 1,000 tokens each)."),
    max_num_batched_tokens=Choice(2048, "vLLM's activations at this size stay under 1 GB."),
    long_prefill_tokens=Choice(1024, "Half a step: the other half is left for those who wait."),
    enforce_eager=_COMPILED,
    kv_cache_dtype=_KV_AS_MODEL,
    gpu_memory_utilization=Choice(0.88, "Leaves 1.9 GB for the CUDA context, graphs and a desktop on the same card."),
)
GPU_24GB = Profile(
    name="gpu-24gb",
    kind="cuda",
    min_memory_bytes=22_000 * MIB,
    example="L4, A10, RTX 4090, RTX 3090; also a 40 GB A100",
    dtype=_BFLOAT16,
    max_model_len_tokens=Choice(8192, "An 8B model in FP8 leaves about 12 GB of keys and values: 11 full contexts."),
    max_num_seqs=Choice(64, "About 1,000 tokens each of the two tasks fit 64 times into that memory."),
    max_num_batched_tokens=Choice(4096, "Prefills two tasks a step and keeps decoding steps short on 300 GB/s (L4)."),
    long_prefill_tokens=_FAIR_PREFILL,
    enforce_eager=_COMPILED,
    kv_cache_dtype=_KV_AS_MODEL,
    gpu_memory_utilization=Choice(0.90, "Leaves 2.4 GB for the CUDA context and graphs."),
)
GPU_48GB = Profile(
    name="gpu-48gb",
    kind="cuda",
    min_memory_bytes=44_000 * MIB,
    example="L40S, RTX A6000, RTX 6000 Ada",
    dtype=_BFLOAT16,
    max_model_len_tokens=Choice(16_384, "An 8B model in FP8 leaves about 33 GB of keys and values: 16 full contexts."),
    max_num_seqs=Choice(128, "Twice the memory for keys and values of the 24 GB class, and room beyond."),
    max_num_batched_tokens=Choice(8192, "Enough to fill the tensor cores in prefill."),
    long_prefill_tokens=_FAIR_PREFILL,
    enforce_eager=_COMPILED,
    kv_cache_dtype=_KV_AS_MODEL,
    gpu_memory_utilization=Choice(0.92, "vLLM's default; leaves 3.7 GB for the CUDA context and graphs."),
)
GPU_80GB = Profile(
    name="gpu-80gb",
    kind="cuda",
    min_memory_bytes=76_000 * MIB,
    example="H100, A100 80 GB, H200; an FP8 bundle runs in FP8 on H100 and newer",
    dtype=_BFLOAT16,
    max_model_len_tokens=Choice(32_768, "An 8B model in FP8 leaves about 60 GB of keys and values: 15 full contexts."),
    max_num_seqs=Choice(256, "Measured, 8B in FP8 on H100: 7,693 tokens/s at 64 streams, 10,607 at 256."),
    max_num_batched_tokens=Choice(8192, "Enough to fill the tensor cores in prefill; larger steps delay the streams."),
    long_prefill_tokens=_FAIR_PREFILL,
    enforce_eager=_COMPILED,
    kv_cache_dtype=_KV_AS_MODEL,
    gpu_memory_utilization=Choice(0.92, "vLLM's default; leaves 6 GB for the CUDA context and graphs."),
)
#: Every profile, GPUs from small to large.
PROFILES = (CPU, GPU_16GB, GPU_24GB, GPU_48GB, GPU_80GB)


def choose(hardware: Hardware, name: str = "auto") -> Profile:
    """The profile for this hardware.

    Args:
        hardware: what was detected.
        name: the setting ``engine.profile``; ``auto``, or a profile's name.

    Raises:
        SettingsInvalid: no profile has that name, or it is for another kind of device.
        HardwareMissing: the GPU is too old or too small for every profile.
    """
    if name != "auto":
        return _named(hardware, name)
    if hardware.kind == "cpu":
        return CPU
    if hardware.compute_capability < MIN_COMPUTE_CAPABILITY:
        version = ".".join(str(part) for part in hardware.compute_capability)
        raise HardwareMissing(
            f"The GPU {hardware.name} is too old: compute capability {version}, without bfloat16.",
            remedy="Use an Ampere card or newer (compute capability 8.0), or set APPLIANCE_ENGINE__DEVICE=cpu.",
        )
    fitting = [p for p in PROFILES if p.kind == "cuda" and p.min_memory_bytes <= hardware.memory_bytes]
    if not fitting:
        raise HardwareMissing(
            f"The GPU {hardware.name} is too small: {hardware.memory_bytes // MIB} MiB of memory.",
            remedy="Use a card with at least 16 GB, name a profile in engine.profile, "
            "or set APPLIANCE_ENGINE__DEVICE=cpu.",
        )
    return max(fitting, key=lambda profile: profile.min_memory_bytes)


def adapt(profile: Profile, arguments: EngineArguments | None) -> Profile:
    """The profile with what a model changes in it; what makes no sense on its device is left alone.

    Args:
        profile: chosen for the hardware.
        arguments: the model's for this profile, or None.
    """
    stated = arguments.stated() if arguments is not None else {}
    wrong_device = {"cpu": "gpu_memory_utilization", "cuda": "kv_cache_bytes"}[profile.kind]
    changes: dict[str, Any] = {
        name: Choice(value, "The model's bundle says so.") for name, value in stated.items() if name != wrong_device
    }
    return replace(profile, **changes)


def _named(hardware: Hardware, name: str) -> Profile:
    for profile in PROFILES:
        if profile.name != name:
            continue
        if profile.kind != hardware.kind:
            raise SettingsInvalid(
                f"The profile {name} is for {profile.kind}, but the engine runs on {hardware.kind}.",
                remedy="Set engine.profile to auto.",
            )
        return profile
    raise SettingsInvalid(
        f"There is no hardware profile {name}.",
        remedy=f"engine.profile is auto or one of {', '.join(profile.name for profile in PROFILES)}.",
    )
