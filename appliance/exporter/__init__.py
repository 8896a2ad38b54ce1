"""GPU telemetry for Prometheus, read through NVML and nothing else."""
