"""``appliance evaluate``: how good a model is at the two tasks, whichever endpoint serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from appliance.bundles import exam, exam_page
from appliance.bundles.endpoint import Endpoint
from appliance.bundles.exam import Result
from appliance.bundles.exam_page import PAGE_NAME
from appliance.cli.steps import Steps


def evaluate(
    base_url: Annotated[str, typer.Option("--base-url", help="As the OpenAI SDK takes it, http://box:8000/v1.")],
    out: Annotated[Path, typer.Option("--out", help="Directory for scores.json and evaluation.html.")],
    key: Annotated[str, typer.Option("--key", envvar="OPENAI_API_KEY", help="API key of the endpoint.")] = "",
    model: Annotated[str, typer.Option("--model", help="Which of its models; the first one by default.")] = "",
    items: Annotated[Path | None, typer.Option("--items", help="The academy's own items, JSONL.")] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Held-out samples to ask; not with --items.")] = 480,
    seed: Annotated[int, typer.Option("--seed", help="Of the held-out samples.")] = 7,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Questions at once.")] = 16,
    with_schema: Annotated[
        bool, typer.Option("--schema/--no-schema", help="Ask for the task's JSON schema (response_format).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Ask an OpenAI endpoint held-out questions of both tasks, or the academy's own, and mark the replies.

    Nothing is sent but the questions. The page is one file without network use.

    Example: appliance evaluate --base-url http://127.0.0.1:8000/v1 --key sk-… --out evaluation
    """
    asked = exam.read_items(items) if items else exam.heldout(seed, count)
    endpoint = Endpoint(base_url, key)
    served = model or endpoint.model()
    steps = Steps(2)
    with steps.step(f"Ask {served} {len(asked)} questions") as step:
        bodies = [exam.request(sample, served, with_schema=with_schema) for sample in asked]
        replies = endpoint.answers(bodies, concurrency, lambda done, total: step.progress(f"{done} of {total}"))
    with steps.step("Mark the replies"):
        result = exam.mark(served, asked, replies)
        schema = "with" if with_schema else "without"
        source = f"{items.name}" if items else f"held-out corpus, seed {seed}"
        exam_page.write([result], out, f"{len(asked)} questions ({source}), {schema} response_format, greedy decoding.")
    _tell(result, out, as_json=as_json)


def _tell(result: Result, out: Path, *, as_json: bool) -> None:
    if as_json:
        shown = exam.view(result)
        typer.echo(json.dumps({name: shown[name] for name in ("title", "overall", "by_language")}, ensure_ascii=False))
        return
    for name, share in result.shares.items():
        by_language = "  ".join(
            f"{language} {getattr(group, name).ratio:6.1%}" for language, group in result.scores.by_language.items()
        )
        typer.echo(f"{name:<16} {share:6.1%}   {by_language}")
    typer.echo(f"{out / PAGE_NAME}")
