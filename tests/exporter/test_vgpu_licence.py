"""The licence of a virtual card."""

from __future__ import annotations

import pytest

from appliance.exporter.vgpu_licence import VgpuLicence
from tests.exporter.conftest import values
from tests.fakes import nvml


@pytest.mark.parametrize(
    ("supported", "features", "licensed"), [(0, [], 0), (1, [0], 0), (1, [0, 1], 1), (1, [], 0), (0, [1], 0)]
)
def test_licensed_if_any_feature_is(rig, supported, features, licensed):
    card = nvml.recorded()
    card["calls"]["nvmlDeviceGetGridLicensableFeatures()"] = {
        "value": {
            "isGridLicenseSupported": supported,
            "licensableFeaturesCount": len(features),
            "gridLicensableFeatures": [{"featureState": state} for state in features],
        }
    }
    assert values(VgpuLicence().collect(rig(card).gpu())) == {("appliance_gpu_vgpu_licensed", "0"): licensed}
