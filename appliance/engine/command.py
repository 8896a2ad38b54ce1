"""The launch line of vLLM: from model, profile and settings to arguments and environment."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.engine import environment
from appliance.engine.hardware import MIB, Hardware
from appliance.engine.model import Model
from appliance.engine.profiles import GIB, Profile
from appliance.errors import NotEnoughMemory
from appliance.settings import Settings

#: vLLM's server as a module: the CPU wheel's ``vllm`` script does not find its own metadata.
#: ``-s -P``: neither a user's site-packages nor the working directory can put a module in front.
SERVER = ("-s", "-P", "-m", "vllm.entrypoints.openai.api_server")
#: Measured with vLLM 0.32 on the CPU: 3.5 GB in three processes with 1 GiB of cache and 0.27 GB of weights.
HOST_OVERHEAD_BYTES = 2 * GIB
#: Activations, CUDA context and graphs beside weights and cache.
GPU_OVERHEAD_BYTES = 2 * GIB


@dataclass(frozen=True)
class LaunchLine:
    """What to execute: arguments (the interpreter first) and the complete environment."""

    argv: tuple[str, ...]
    environment: dict[str, str]

    def shell(self) -> str:
        """The line as a shell would take it, for people; the environment as assignments before it."""
        assignments = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
        return " \\\n  ".join(["env -i", *assignments, shlex.join(self.argv)])


def build(model: Model, profile: Profile, settings: Settings) -> LaunchLine:
    """Put the launch line together.

    Args:
        model: a checked model directory.
        profile: values of this hardware.
        settings: socket, overrides and limits.
    """
    arguments = (*_serving(model, settings), *_safety(), *_sizing(model, profile, settings), *_tools(model))
    return LaunchLine(
        (sys.executable, *SERVER, *arguments), environment.build(settings, eager=profile.enforce_eager.value)
    )


def context_tokens(model: Model, profile: Profile, settings: Settings) -> int:
    """The context length served: the setting or the profile's, never more than the model's own."""
    wanted = settings.engine.max_model_len_tokens or profile.max_model_len_tokens.value
    return min(wanted, model.context_tokens)


def kv_cache_bytes(profile: Profile, settings: Settings) -> int | None:
    """Memory for keys and values, or None where it is what the GPU has left."""
    if profile.kv_cache_bytes is None:
        return None
    return settings.engine.kv_cache_bytes or profile.kv_cache_bytes.value


def require_memory(model: Model, profile: Profile, settings: Settings, hardware: Hardware) -> None:
    """Refuse a start that would end in vLLM's out-of-memory trace.

    Raises:
        NotEnoughMemory: with what is needed and what there is.
    """
    cache = kv_cache_bytes(profile, settings) or 0
    if hardware.kind == "cpu":
        needed, place = max(model.weight_bytes + cache + HOST_OVERHEAD_BYTES, model.min_host_bytes), "host memory"
        there = hardware.memory_bytes
    else:
        share = profile.gpu_memory_utilization.value if profile.gpu_memory_utilization else 1.0
        needed, place = model.weight_bytes + GPU_OVERHEAD_BYTES, "GPU memory"
        there = int(hardware.memory_bytes * share)
        if hardware.memory_bytes < model.min_gpu_bytes:
            needed, there = model.min_gpu_bytes, hardware.memory_bytes
    if there < needed:
        raise NotEnoughMemory(
            f"The model {model.name} needs {needed // MIB} MiB of {place}, {there // MIB} MiB are usable."
        )


def _serving(model: Model, settings: Settings) -> Iterator[str]:
    yield from ("--uds", str(settings.socket_path))
    yield from ("--model", str(model.directory))
    yield from ("--served-model-name", model.name)
    # Safetensors hold tensors only; `auto` would fall back to pickles.
    yield from ("--load-format", "safetensors")
    yield "--no-trust-remote-code"
    # Without a template file vLLM takes the one in tokenizer_config.json.
    if model.chat_template is not None:
        yield from ("--chat-template", str(model.chat_template))
    # How much of a prompt came from the prefix cache. The cache is salted per key, so an app learns of its own only.
    yield "--enable-prompt-tokens-details"
    # Clients see which bundle answered, not which engine with which settings.
    yield from ("--fingerprint-mode", "custom", "--fingerprint-value", f"{model.name}-{model.version}")


def _safety() -> Iterator[str]:
    yield "--no-trust-request-chat-template"  # a client's template is a program: CVE-2025-62426
    yield "--no-enable-log-requests"  # prompts and sampling parameters
    yield "--no-enable-log-outputs"
    yield "--no-log-error-stack"
    yield "--disable-uvicorn-access-log"
    yield "--disable-fastapi-docs"
    yield "--enable-prefix-caching"
    # Collisions of a weak hash could show one tenant another's cached prompt: CVE-2025-46570.
    yield from ("--prefix-caching-hash-algo", "sha256")
    # One known grammar backend: `auto` falls back to others, some with open holes, by what a client sends.
    # Compact JSON: a small model can otherwise emit blanks until its token limit.
    yield "--structured-outputs-config"
    yield json.dumps({"backend": "xgrammar", "disable_any_whitespace": True})


def _sizing(model: Model, profile: Profile, settings: Settings) -> Iterator[str]:
    yield from ("--dtype", profile.dtype.value)
    yield from ("--max-model-len", str(context_tokens(model, profile, settings)))
    yield from ("--max-num-seqs", str(profile.max_num_seqs.value))
    yield from ("--max-num-batched-tokens", str(profile.max_num_batched_tokens.value))
    yield from ("--long-prefill-token-threshold", str(profile.long_prefill_tokens.value))
    yield from ("--kv-cache-dtype", profile.kv_cache_dtype.value)
    if profile.enforce_eager.value:
        yield "--enforce-eager"
    if profile.gpu_memory_utilization is not None:
        yield from ("--gpu-memory-utilization", str(profile.gpu_memory_utilization.value))
    cache = kv_cache_bytes(profile, settings)
    if cache is not None:
        yield from ("--kv-cache-memory-bytes", str(cache))


def _tools(model: Model) -> Iterator[str]:
    if model.tool_parser is not None:
        yield from ("--enable-auto-tool-choice", "--tool-call-parser", model.tool_parser)
