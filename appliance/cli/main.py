"""``appliance``: every command, and how a failure leaves the process."""

from __future__ import annotations

import sys

import typer

from appliance.cli import (
    backup,
    bundle,
    cost,
    demo,
    egress,
    engine,
    evaluate,
    exporter,
    gateway,
    keys,
    machine_key,
    metrics,
    openapi,
    privacy_test,
    ready,
    report,
    serve,
    settings,
    upkeep,
    usage,
    version,
)
from appliance.errors import ApplianceError

app = typer.Typer(
    name="appliance",
    help="The on-premise inference appliance: a fine-tuned Llama that never lets a student's words leave the building.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("gateway")(gateway.run)
app.add_typer(keys.app, name="keys")
app.command("engine")(engine.run)
app.add_typer(bundle.app, name="bundle")
app.command("evaluate")(evaluate.evaluate)
app.command("exporter")(exporter.run)
app.command("ready")(ready.run)
app.command("egress")(egress.run)
app.add_typer(backup.app, name="backup")
app.command("privacy-test")(privacy_test.run)
app.command("machine-key")(machine_key.show)
app.command("report")(report.report)
app.command("upkeep")(upkeep.upkeep)
app.command("usage")(usage.usage)
app.command("cost")(cost.cost)
app.command("settings")(settings.show)
app.command("openapi")(openapi.show)
app.command("metrics")(metrics.show)
app.command("version")(version.show)


def main() -> None:
    """Run one command; a failure we know is one line with its remedy, never a traceback."""
    try:
        app()
    except ApplianceError as err:
        sys.stderr.write(f"error: {err}\n")
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
