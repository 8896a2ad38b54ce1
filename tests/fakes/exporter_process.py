"""The exporter's real process over the replayed H100: ``python -m tests.fakes.exporter_process --port …``.

``--hang CALL`` lets a call of NVML hang for ever, ``--in-real-time`` lets each take the time it was recorded to take,
``--watts NUMBER`` lets the energy counter grow by so much a second.
"""

from __future__ import annotations

import sys
import time

from appliance.exporter.__main__ import main
from tests.fakes.nvml import FakeNvml, recorded

if __name__ == "__main__":
    arguments = sys.argv[1:]
    driver = FakeNvml(recorded(), in_real_time="--in-real-time" in arguments)
    if "--hang" in arguments:
        where = arguments.index("--hang")
        driver.hang(arguments.pop(where + 1))
    if "--watts" in arguments:
        where = arguments.index("--watts")
        watts = float(arguments[where + 1])
        del arguments[where : where + 2]
        # NVML counts thousandths of a joule.
        driver.nvmlDeviceGetTotalEnergyConsumption = lambda _card: int(time.monotonic() * watts * 1000)
    sys.modules["pynvml"] = driver  # type: ignore[assignment]
    sys.exit(main([argument for argument in arguments if argument not in {"--hang", "--in-real-time"}]))
