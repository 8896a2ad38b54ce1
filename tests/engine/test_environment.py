"""The engine's environment: every privacy switch, nothing from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.engine import environment
from appliance.settings import Settings

STATE = Path("/srv/appliance")
REQUIRED = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_PLUGINS": "",
    "VLLM_HOST_IP": "127.0.0.1",
}
FORBIDDEN = (
    "VLLM_SERVER_DEV_MODE",
    "VLLM_ALLOW_INSECURE_SERIALIZATION",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
    "VLLM_API_KEY",
    "VLLM_DEBUG_LOG_API_SERVER_RESPONSE",
    "VLLM_TRACE_FUNCTION",
    "HF_TOKEN",
    "HF_ENDPOINT",
    "HTTPS_PROXY",
    "https_proxy",
    "LD_PRELOAD",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "SSH_AUTH_SOCK",
)


def built(**values):
    return environment.build(Settings(state_dir=STATE, **values))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_privacy_switch_is_always_set(name, monkeypatch):
    monkeypatch.setenv(name, "0")
    assert built()[name] == REQUIRED[name]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_dangerous_variable_of_the_outside_never_passes(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert name not in built()


def test_environment_holds_exactly_the_known_names(monkeypatch):
    for name in environment.INHERITED:
        monkeypatch.delenv(name, raising=False)
    assert set(built()) == {
        *environment.PRIVACY,
        *environment.LOOPBACK,
        "APPLIANCE_STATE_DIR",
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "VLLM_CACHE_ROOT",
        "VLLM_CONFIG_ROOT",
        "HF_HOME",
        "TORCHINDUCTOR_CACHE_DIR",
        "TRITON_CACHE_DIR",
        "CUDA_CACHE_PATH",
        "CUDA_DEVICE_ORDER",
        "VLLM_LOGGING_LEVEL",
        "VLLM_LOGGING_COLOR",
        "VLLM_MAX_N_SEQUENCES",
        "VLLM_MAX_COMPLETION_PROMPTS",
        "PYTHONSAFEPATH",
        "PYTHONNOUSERSITE",
    }


def test_everything_written_lies_below_the_engines_directory():
    paths = {name: value for name, value in built().items() if value.startswith("/") and name != "PATH"}
    paths.pop("APPLIANCE_STATE_DIR")
    assert len(paths) == 10
    assert {name for name, value in paths.items() if not value.startswith("/srv/appliance/engine")} == set()


def test_limits_of_the_gateway_are_repeated_in_the_engine():
    values = built(gateway={"max_choices": 3, "max_prompts": 7})
    assert (values["VLLM_MAX_N_SEQUENCES"], values["VLLM_MAX_COMPLETION_PROMPTS"]) == ("3", "7")


def test_temporary_directory_is_short_enough_for_sockets():
    long = Settings(state_dir=Path("/srv/" + "x" * 60))
    assert environment.temporary_dir(long) == Path("/tmp")
    assert environment.temporary_dir(Settings(state_dir=STATE)) == STATE / "engine" / "tmp"
