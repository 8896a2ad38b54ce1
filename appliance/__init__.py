"""The on-premise inference appliance: a tour of the rooms.

A request enters at ``gateway`` (FastAPI: who asks, may they, what is allowed
through) and leaves over a Unix socket to ``engine`` (vLLM and the process that
watches it). ``exporter`` reads the GPU's telemetry for Prometheus. ``bundles``
turns a base model into the files the engine loads, and checks them.
``health`` looks at the box: what is wrong, and what an auditor asks. ``backup``
makes and restores encrypted copies of what the appliance keeps.

Decisions are pure and live in two rooms that do no input or output at all:
``core`` (limits, liveness, privacy, what an event stream says) and ``tutor``
(the domain: wrong-answer analysis and similar problems).

``errors`` is the one place where failures get their key, message, remedy and
HTTP status. ``settings`` is the one place that reads the environment.

Imports point inward only::

    cli -> gateway, engine, exporter, bundles, health, backup -> core, tutor -> errors

Rooms never import each other; ``cli`` is the composition root that hands each
what it needs. ``import-linter`` holds these arrows (see pyproject.toml).
"""

__version__ = "0.1.0"
