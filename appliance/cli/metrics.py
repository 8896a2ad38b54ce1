"""``appliance metrics``: every metric, and the page that documents them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from appliance.core.metric import Family
from appliance.gateway.families import FAMILIES

PAGE_HEAD = """# Metrics

Made from `appliance/gateway/families.py` by `make docs`; do not edit.

The gateway's admin listener (`gateway.admin_host`, `gateway.admin_port`, by default 127.0.0.1:8081) has two pages for
Prometheus, in its text format, and nothing else:

| page | what |
| --- | --- |
| `/metrics` | the gateway's own, below |
| `/metrics/engine` | vLLM's own (`vllm:*`), fetched from the engine's socket at the moment of asking; 503 while the engine is away |

They hold names of apps, numbers and states; never content, keys, addresses or ids. Both are made at most once a second.

vLLM's names stay as they are, since dashboards know them: `promtool check metrics` has nothing to say about `/metrics`, and
about `/metrics/engine` only that names should not contain a colon and that `vllm:iteration_tokens_total` is no counter. Left
out are `*_created` (when each series began) and what vLLM's HTTP server counts, whose labels are paths.

## What protects the listener
It asks for no key. It is bound to loopback, and it answers only where the `Host` header is an IP address, `localhost`, this
machine's own name or one of `gateway.allowed_hosts`, so that no web page in a browser can reach it under a name of its own
(DNS rebinding). On another address nothing but the network protects it: bind it to the admin network's address and let the
firewall admit the Prometheus server alone. An empty `gateway.admin_host` switches it off.

## Labels
Every set of values is fixed, so no client can make series (PYSEC-2026-4325). `route` is one of the routes of
[api.md](api.md) or `(unknown)`; `code` an HTTP status that the gateway answers; `class` `interactive` or `batch`, that of
the key; `kind` `input`, `output` or `cached` (a part of `input`: it is not added to it); `reason` the `code` of the error
that the client got, or `engine_busy`. `app` is the name of the key, which only the box's operator can make; the first 200
since the start have series of their own, the rest share `(other)`, and requests without a usable key count as `(none)`.

## The gateway's
The GPU's are in [exporter.md](exporter.md). Times are taken inside the event loop: while its core is full, a wait for the
loop counts as the engine's or the queue's; what a client sees then is measured by `make bench`. Counts begin at the start of
the process; the account of use that outlives it is `appliance usage`. The log's line of a request has its times too, with
the request id that the audit and the client have.

Names that begin with `process_` are those of every Prometheus client library.

| name | type | labels | meaning |
| --- | --- | --- | --- |
"""


def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/metrics.md.")] = False,
) -> None:
    """List every metric of the gateway with its meaning.

    Example: appliance metrics --json
    """
    if markdown:
        typer.echo(page(), nl=False)
    elif as_json:
        typer.echo(json.dumps([asdict(family) for family in FAMILIES], indent=2, ensure_ascii=False))
    else:
        for family in FAMILIES:
            typer.echo(f"{family.name}{{{','.join(family.labels)}}} {family.kind}: {family.text}")


def page() -> str:
    """The whole of ``docs/metrics.md``."""
    return PAGE_HEAD + "".join(_row(family) for family in FAMILIES)


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "—"
    return f"| `{family.name}` | {family.kind} | {labels} | {family.text} |\n"
