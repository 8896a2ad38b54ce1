"""Whether a vGPU licence is held; a whole card has none and needs none."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.exporter.metrics import Family, Sample
from appliance.exporter.nvml import Gpu

LICENSED = Family("appliance_gpu_vgpu_licensed", "gauge", "1 if a vGPU licence is held; 0 also where none is needed.")


class VgpuLicence:
    """From the list of licensable features."""

    name = "vgpu_licence"
    families = (LICENSED,)

    def collect(self, gpu: Gpu) -> Iterator[Sample]:
        """Licensed if any feature is."""
        listed = gpu.settled("nvmlDeviceGetGridLicensableFeatures")
        if listed is not None:
            features = [listed.gridLicensableFeatures[index] for index in range(listed.licensableFeaturesCount)]
            held = bool(listed.isGridLicenseSupported) and any(feature.featureState for feature in features)
            yield from LICENSED.of(float(held), gpu.label)
