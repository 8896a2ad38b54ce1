"""Claims about ``bundles.dequantize``. That it gives the pinned weights is tested end to end."""

from __future__ import annotations

import subprocess
import sys

from appliance.bundles import dequantize


def test_importing_the_converter_loads_no_torch() -> None:
    code = (
        f"import sys; import {dequantize.__name__}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
