"""Pure decisions: values in, decisions out, time passed in.

Nothing here reads a clock, a file, a socket or the environment, and nothing is
asynchronous, so that every rule can be driven by a test without a server.
"""
