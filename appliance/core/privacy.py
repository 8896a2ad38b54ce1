"""What may be logged, kept or forwarded: one list a purpose, everything else is dropped.

An allowlist, because a denylist forgets: a field that nobody thought about
stays out. Values are cut to a length at which no prompt survives.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

#: Fields a log line may carry. None can hold what a client wrote.
LOG_FIELDS = frozenset(
    {
        "address",
        "app",
        "attempt",
        "bytes",
        "child_pid",
        "code",
        "count",
        "delay_seconds",
        "device",
        "duration_seconds",
        "error",
        "event",
        "exit_status",
        "file",
        "finding",
        "gpu",
        "input_tokens",
        "key_id",
        "level",
        "logger",
        "method",
        "model",
        "output_tokens",
        "path",
        "phase",
        "port",
        "profile",
        "queue_seconds",
        "reason",
        "remedy",
        "request_id",
        "route",
        "seconds",
        "signal",
        "socket",
        "source",
        "state_dir",
        "status",
        "stream",
        "timestamp",
        "version",
    }
)
#: What an audit record keeps of a request or an event, for as long as ``audit.retention_days``. No content.
KEPT_FIELDS = frozenset(
    {
        "address",
        "app",
        "at_ms",
        "error",
        "generation_ms",
        "input_tokens",
        "key_id",
        "kind",
        "method",
        "model",
        "outcome",
        "output_tokens",
        "queue_ms",
        "request_id",
        "route",
        "status",
        "stream",
        "times",
        "tokens_from",
    }
)
#: Fields that some API knows and that are refused by name, each with the reason the app's developer reads.
REFUSED_FIELDS: dict[str, str] = {
    "add_generation_prompt": "the prompt's form comes from the signed bundle",
    "allowed_token_ids": "it exposes the tokenizer's ids, which change with the model",
    "audio": "the model reads and writes text only",
    "background": "nothing is stored here, so nothing can be fetched later",
    "best_of": "it multiplies the work of a request; use n",
    "cache_salt": "the appliance sets it per key so that no app can time another's cache",
    "chat_template": "a client's template would run inside the engine (CVE-2025-62426)",
    "chat_template_kwargs": "they reach the template engine (CVE-2025-62426)",
    "continue_final_message": "the prompt's form comes from the signed bundle",
    "conversation": "nothing is stored here; send the whole conversation in input",
    "documents": "the embedded template has no place for them",
    "echo": "the appliance never repeats a prompt",
    "extra_body": "it is an option of the Python SDK's call, not a field of the request",
    "function_call": "it was replaced by tool_choice",
    "functions": "it was replaced by tools",
    "guided_choice": "use response_format with a json_schema",
    "guided_decoding_backend": "the backend is chosen by the appliance",
    "guided_grammar": "a client's grammar can stop the engine (CVE-2025-48942)",
    "guided_json": "use response_format with a json_schema",
    "guided_regex": "a client's regular expression can stop the engine (CVE-2025-48943)",
    "guided_whitespace_pattern": "a client's regular expression can stop the engine (CVE-2025-48943)",
    "ignore_eos": "it makes the model ramble to the limit",
    "kv_transfer_params": "it addresses other engines (CVE-2025-32444)",
    "logits_processors": "they name code to run",
    "media_io_kwargs": "the model reads text only",
    "min_tokens": "it makes the model ramble past its answer",
    "mm_processor_kwargs": "the model reads text only",
    "modalities": 'the model writes text only; leave it out or send ["text"]',
    "moderation": "the appliance runs no second model that judges texts",
    "prediction": "the engine has no predicted outputs",
    "previous_response_id": "the appliance keeps no conversation; send the earlier turns in input",
    "priority": "the appliance decides who is served first, by the key's class",
    "prompt": "stored prompts do not exist here; write the text into the request",
    "prompt_embeds": "embeddings arrive as pickled tensors (CVE-2025-32434)",
    "prompt_logprobs": "they can reveal another request's cached prompt",
    "request_id": "the appliance makes request ids (CVE-2026-116176)",
    "session_id": "the appliance keeps no sessions",
    "skip_special_tokens": "it would show the template's control tokens",
    "stop_token_ids": "it exposes the tokenizer's ids; use stop",
    "store": "nothing is stored here; leave it out or send false",
    "structured_outputs": "regexes and grammars can stop the engine; use response_format with a json_schema",
    "suffix": "the model cannot fill in the middle",
    "truncate_prompt_tokens": "a prompt is never cut in silence",
    "truncation": 'a prompt is never cut in silence; leave it out or send "disabled"',
    "use_beam_search": "it multiplies the work of a request; use n",
    "web_search_options": "the appliance has no way out to the web",
}
#: Fields that SDKs send and that change nothing here: accepted, never forwarded.
IGNORED_FIELDS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "verbosity",
    }
)
#: No sentence worth stealing fits, a path or an identifier does.
MAX_LOGGED_CHARACTERS = 200


def loggable(event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Keep the allowed fields of a log event, with text cut to :data:`MAX_LOGGED_CHARACTERS`."""
    return {name: _short(value) for name, value in event.items() if name in LOG_FIELDS}


def dropped(event: Mapping[str, Any]) -> set[str]:
    """Names of the fields that :func:`loggable` would drop, for tests that hold callers to the list."""
    return set(event) - LOG_FIELDS


def _short(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = str(value)
    return text if len(text) <= MAX_LOGGED_CHARACTERS else text[:MAX_LOGGED_CHARACTERS] + "…"
