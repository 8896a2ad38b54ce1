"""The exporter's real process over the replayed H100: ``python -m tests.fakes.exporter_process --port …``.

``--hang CALL`` lets a call of NVML hang for ever, ``--in-real-time`` lets each take the time it was recorded to take.
"""

from __future__ import annotations

import sys

from appliance.exporter.__main__ import main
from tests.fakes.nvml import FakeNvml, recorded

if __name__ == "__main__":
    arguments = sys.argv[1:]
    driver = FakeNvml(recorded(), in_real_time="--in-real-time" in arguments)
    if "--hang" in arguments:
        where = arguments.index("--hang")
        driver.hang(arguments.pop(where + 1))
    sys.modules["pynvml"] = driver  # type: ignore[assignment]
    sys.exit(main([argument for argument in arguments if argument not in {"--hang", "--in-real-time"}]))
