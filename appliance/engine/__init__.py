"""vLLM on a Unix socket, and the process that builds its command line and watches it."""
