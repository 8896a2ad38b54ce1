"""The checks of the controls, one subject a file; ``register`` lists them by the controls' keys."""
