"""The OpenAI-compatible front door: one process, no GPU, no outbound network.

``app`` composes it and can be read top to bottom; every other module is one
noun of a request's life.
"""
