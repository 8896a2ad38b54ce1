"""The launch line: what is always on it, what follows from model, profile and settings."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.engine import command, profiles
from appliance.engine.hardware import Hardware
from appliance.engine.model import Model
from appliance.errors import NotEnoughMemory
from appliance.settings import Settings

DIRECTORY = Path("/srv/appliance/bundles/one")
MODEL = Model(
    directory=DIRECTORY,
    name="tutor",
    version="1.2",
    architecture="LlamaForCausalLM",
    context_tokens=8192,
    weight_bytes=8 * profiles.GIB,
    chat_template=DIRECTORY / "chat_template.jinja",
    tool_parser=None,
)
GPU = profiles.GPU_24GB


def built(model=MODEL, profile=GPU, **engine):
    return command.build(model, profile, Settings(state_dir=Path("/srv/appliance"), engine=engine))


def value(line, option):
    return line.argv[line.argv.index(option) + 1]


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_what_keeps_the_engine_safe_is_on_every_line(profile):
    line = built(profile=profile)
    assert value(line, "--uds") == "/srv/appliance/run/engine.sock"
    assert value(line, "--load-format") == "safetensors"
    assert value(line, "--prefix-caching-hash-algo") == "sha256"
    assert json.loads(value(line, "--structured-outputs-config"))["backend"] == "xgrammar"
    for option in (
        "--no-trust-remote-code",
        "--no-trust-request-chat-template",
        "--no-enable-log-requests",
        "--no-enable-log-outputs",
        "--no-log-error-stack",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
        "--enable-prompt-tokens-details",
    ):
        assert option in line.argv
    assert not {"--host", "--port", "--trust-remote-code", "--api-key", "--enable-log-requests"} & set(line.argv)


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_nothing_is_compiled_behind_the_back_of_a_profile_that_compiles_nothing(profile):
    line = built(profile=profile)
    assert ("--enforce-eager" in line.argv) == (line.environment.get("TORCH_COMPILE_DISABLE") == "1")


def test_interpreter_takes_no_module_from_home_or_working_directory():
    assert built().argv[:5] == (sys.executable, "-s", "-P", "-m", "vllm.entrypoints.openai.api_server")


def test_model_is_served_from_its_directory_under_its_name():
    line = built()
    assert (value(line, "--model"), value(line, "--served-model-name")) == (str(DIRECTORY), "tutor")
    assert value(line, "--chat-template") == str(DIRECTORY / "chat_template.jinja")
    assert value(line, "--fingerprint-value") == "tutor-1.2"


def test_context_is_the_shortest_of_model_and_profile_unless_set():
    assert value(built(profile=profiles.GPU_80GB), "--max-model-len") == "8192"
    assert value(built(profile=profiles.CPU), "--max-model-len") == "4096"
    assert value(built(max_model_len_tokens=2048), "--max-model-len") == "2048"
    assert value(built(max_model_len_tokens=100_000), "--max-model-len") == "8192"


def test_cpu_states_its_cache_and_gpu_its_share():
    cpu, gpu = built(profile=profiles.CPU), built()
    assert value(cpu, "--kv-cache-memory-bytes") == str(profiles.GIB)
    assert "--gpu-memory-utilization" not in cpu.argv
    assert value(gpu, "--gpu-memory-utilization") == "0.9"
    assert "--kv-cache-memory-bytes" not in gpu.argv
    assert ("--enforce-eager" in cpu.argv, "--enforce-eager" in gpu.argv) == (True, False)


def test_tool_calls_only_where_the_model_has_them():
    from dataclasses import replace

    assert "--enable-auto-tool-choice" not in built().argv
    assert value(built(replace(MODEL, tool_parser="llama3_json")), "--tool-call-parser") == "llama3_json"


def test_shell_form_reads_back_to_the_same_line():
    line = built()
    words = shlex.split(line.shell().replace("\\\n", " "))
    assert words[:2] == ["env", "-i"]
    assert tuple(words[-len(line.argv) :]) == line.argv
    assert dict(word.split("=", 1) for word in words[2 : -len(line.argv)]) == line.environment


@pytest.mark.parametrize(
    ("profile", "device", "fits"),
    [
        (profiles.CPU, Hardware("cpu", "", 11 * profiles.GIB), True),
        (profiles.CPU, Hardware("cpu", "", 10 * profiles.GIB), False),
        (GPU, Hardware("cuda", "", 12 * profiles.GIB, (8, 9)), True),
        (GPU, Hardware("cuda", "", 11 * profiles.GIB, (8, 9)), False),
    ],
)
def test_too_little_memory_is_refused_before_the_start(profile, device, fits):
    settings = Settings(state_dir=Path("/srv"))
    if fits:
        assert command.require_memory(MODEL, profile, settings, device) is None
        return
    with pytest.raises(NotEnoughMemory, match="MiB"):
        command.require_memory(MODEL, profile, settings, device)


@pytest.mark.parametrize(
    ("profile", "device", "least"),
    [
        (profiles.CPU, Hardware("cpu", "CPU", 16 * profiles.GIB), {"min_host_bytes": 16 * profiles.GIB + 1}),
        (GPU, Hardware("cuda", "L4", 24 * profiles.GIB, (8, 9)), {"min_gpu_bytes": 24 * profiles.GIB + 1}),
    ],
)
def test_memory_that_the_model_says_it_needs_counts(profile, device, least):
    settings = Settings(state_dir=Path("/srv/appliance"))
    other = {"min_gpu_bytes": 2**50} if profile.kind == "cpu" else {"min_host_bytes": 2**50}
    assert command.require_memory(replace(MODEL, **other), profile, settings, device) is None
    with pytest.raises(NotEnoughMemory):
        command.require_memory(replace(MODEL, **least), profile, settings, device)
