"""Model bundles: what the engine loads, where it came from, and proof that it is whole."""
