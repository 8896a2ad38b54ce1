"""Profiles: a reason for every value, and the right one for each card."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.core.engine_arguments import EngineArguments
from appliance.engine import profiles
from appliance.engine.hardware import MIB, Hardware
from appliance.engine.profiles import Choice
from appliance.errors import HardwareMissing, SettingsInvalid

CPU = Hardware("cpu", "AMD EPYC", 16 * 1024**3)


def gpu(mib, capability=(8, 9)):
    return Hardware("cuda", "card", mib * MIB, capability)


def choices(profile):
    values = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}
    return {name: value for name, value in values.items() if isinstance(value, Choice)}


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_every_value_states_its_reason_in_a_sentence(profile):
    assert len(choices(profile)) >= 7
    for name, choice in choices(profile).items():
        assert len(choice.reason.split()) >= 5, name
        assert choice.reason.endswith("."), name


@pytest.mark.parametrize("profile", profiles.PROFILES, ids=lambda profile: profile.name)
def test_step_and_shares_are_sound(profile):
    assert profile.long_prefill_tokens.value <= profile.max_num_batched_tokens.value // 2
    assert profile.max_num_seqs.value <= profile.max_num_batched_tokens.value
    if profile.kind == "cuda":
        assert 0.8 <= profile.gpu_memory_utilization.value <= 0.95
        assert profile.kv_cache_bytes is None
        assert not profile.enforce_eager.value
    else:
        assert profile.kv_cache_bytes is not None
        assert profile.gpu_memory_utilization is None
        assert profile.enforce_eager.value


@pytest.mark.parametrize(
    ("mib", "name"),
    [
        (16_376, "gpu-16gb"),  # RTX 4080
        (23_034, "gpu-24gb"),  # L4 with ECC
        (24_564, "gpu-24gb"),  # RTX 4090
        (40_960, "gpu-24gb"),  # A100 40 GB
        (46_068, "gpu-48gb"),  # L40S
        (81_559, "gpu-80gb"),  # H100
        (143_771, "gpu-80gb"),  # H200
    ],
)
def test_card_gets_the_largest_profile_that_fits(mib, name):
    assert profiles.choose(gpu(mib)).name == name


def test_cpu_gets_the_cpu_profile():
    assert profiles.choose(CPU) is profiles.CPU


def test_gpu_without_bfloat16_is_refused_by_name():
    with pytest.raises(HardwareMissing, match=r"7\.5"):
        profiles.choose(gpu(15_360, (7, 5)))


def test_too_small_gpu_is_refused_with_its_size():
    with pytest.raises(HardwareMissing, match="8192 MiB"):
        profiles.choose(gpu(8192))


def test_named_profile_overrides_the_memory_found():
    assert profiles.choose(gpu(81_559), "gpu-24gb").name == "gpu-24gb"


def test_profile_of_another_device_is_refused():
    with pytest.raises(SettingsInvalid):
        profiles.choose(CPU, "gpu-24gb")


def test_unknown_profile_names_those_there_are():
    with pytest.raises(SettingsInvalid) as caught:
        profiles.choose(CPU, "gpu-1tb")
    assert "gpu-80gb" in caught.value.remedy


def test_model_changes_values_of_its_profile_and_nothing_of_another_device():
    changed = profiles.adapt(profiles.CPU, EngineArguments(max_num_seqs=4, gpu_memory_utilization=0.5))
    assert changed.max_num_seqs.value == 4
    assert "bundle" in changed.max_num_seqs.reason
    assert changed.gpu_memory_utilization is None
    assert changed.max_model_len_tokens == profiles.CPU.max_model_len_tokens
    on_gpu = profiles.adapt(profiles.GPU_24GB, EngineArguments(kv_cache_bytes=2**30, gpu_memory_utilization=0.5))
    assert on_gpu.kv_cache_bytes is None
    assert on_gpu.gpu_memory_utilization is not None
    assert on_gpu.gpu_memory_utilization.value == 0.5
    assert profiles.adapt(profiles.CPU, None) == profiles.CPU
