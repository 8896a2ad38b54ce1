"""The whole environment of the vLLM processes: offline, silent, confined to the state directory.

Nothing is inherited but a short list of names, so that no token, proxy or debug
switch of the shell or the service reaches the engine. In particular these are
never set: ``VLLM_SERVER_DEV_MODE`` (opens debug routes),
``VLLM_ALLOW_INSECURE_SERIALIZATION`` (pickle over ZMQ), ``VLLM_API_KEY``,
``HF_TOKEN``, proxies, ``LD_PRELOAD`` and ``PYTHONPATH``.
"""

from __future__ import annotations

from pathlib import Path

from appliance.settings import MAX_SOCKET_PATH_BYTES, Settings, child_environment

#: Inherited where set: to find programs and libraries, and what tunes arithmetic on this machine.
INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
)

#: No look-up, no statistics, no telemetry: every switch that vLLM and the libraries below it have.
PRIVACY = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    # An installed package must not become part of the engine by declaring an entry point.
    "VLLM_PLUGINS": "",
}

#: Loopback only: vLLM otherwise finds its own address by opening a socket towards the internet.
LOOPBACK = {
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}

#: `--enforce-eager` is about the model alone. Two functions of vLLM's sampler are compiled all the same, at the first
#: request that wants logprobs or a temperature: with g++ that stops the CPU engine for more than the ten seconds
#: after which it counts as hung, and without a compiler it ends it.
EAGER = {"TORCH_COMPILE_DISABLE": "1"}

# vLLM names its ZMQ sockets by a UUID of 36 characters below this directory.
_ZMQ_NAME_BYTES = 1 + 36


def build(settings: Settings, *, eager: bool = False) -> dict[str, str]:
    """Every variable of the engine's processes.

    Args:
        settings: paths and limits; the engine writes below ``<state_dir>/engine`` only.
        eager: nothing is compiled, as the profile says.
    """
    home = home_dir(settings)
    cache = home / "cache"
    return {
        **(EAGER if eager else {}),
        **child_environment(settings, INHERITED),
        **PRIVACY,
        **LOOPBACK,
        "HOME": str(home),
        "TMPDIR": str(temporary_dir(settings)),
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(home / "config"),
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "VLLM_CONFIG_ROOT": str(home / "config" / "vllm"),
        "HF_HOME": str(cache / "huggingface"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TRITON_CACHE_DIR": str(cache / "triton"),
        "CUDA_CACHE_PATH": str(cache / "cuda"),
        # NVML counts devices in PCI order; CUDA would count the fastest first.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "VLLM_LOGGING_LEVEL": "INFO",
        "VLLM_LOGGING_COLOR": "0",
        # A second wall behind the gateway's own limits.
        "VLLM_MAX_N_SEQUENCES": str(settings.gateway.max_choices),
        "VLLM_MAX_COMPLETION_PROMPTS": str(settings.gateway.max_prompts),
        # A multiprocessing child must find the same interpreter settings as its parent.
        "PYTHONSAFEPATH": "1",
        "PYTHONNOUSERSITE": "1",
    }


def home_dir(settings: Settings) -> Path:
    """The engine's own directory: caches, temporary files, its home."""
    return settings.state_dir.absolute() / "engine"


def temporary_dir(settings: Settings) -> Path:
    """Directory of temporary files and ZMQ sockets; emptied before each start.

    ``/tmp`` where the state directory's path is too long for a Unix socket in it.
    """
    own = home_dir(settings) / "tmp"
    fits = len(bytes(own)) + _ZMQ_NAME_BYTES <= MAX_SOCKET_PATH_BYTES
    return own if fits else Path("/tmp")  # noqa: S108  sticky, and vLLM's names in it are random
