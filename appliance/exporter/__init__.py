"""GPU telemetry for Prometheus, read through NVML and nothing else.

A scrape goes ``server`` -> ``exporter`` -> ``reader`` (the one thread that calls
NVML, waited for with a deadline) -> ``survey`` (every collector on every GPU)
-> ``metrics`` (the text format). ``collectors`` is the explicit list; one
subsystem a file, so that a metric is found by searching for its name. ``xid_watch``
listens for XIDs in a thread of its own and ``xids`` knows what NVIDIA recommends.
``dcgm`` says the same under the names of NVIDIA's own exporter.

The process is ``python -m appliance.exporter``: it imports neither the settings
nor the command line, because it is to stay small. ``appliance exporter`` reads
the settings and then becomes it.
"""
