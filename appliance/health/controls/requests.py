"""What the gateway that is installed here refuses, asked of its own parser and layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.core.evidence import Result, failed, passed
from appliance.health.host import Host

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
#: The public listener has these and nothing else (docs/api.md).
ROUTES = frozenset(
    {
        ("POST", CHAT),
        ("POST", COMPLETIONS),
        ("POST", "/v1/responses"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model:path}"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
    }
)
#: Labels with a bounded set of values (docs/metrics.md).
LABELS = frozenset({"app", "class", "code", "kind", "reason", "route", "version"})
_CLIENT_ID = "chosen-by-a-client"
_QUESTION: dict[str, Any] = {"messages": [{"role": "user", "content": "1 + 1 = ?"}]}


def _part(kind: str, **content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": kind, **content}]}]}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


_TEXT_ONLY: Mapping[str, dict[str, Any]] = {
    "image_url": _part("image_url", image_url={"url": "http://169.254.169.254/"}),
    "input_audio": _part("input_audio", input_audio={"data": "", "format": "wav"}),
    "file": _part("file", file={"file_id": "x"}),
    "video_url": _part("video_url", video_url={"url": "file:///etc/passwd"}),
}
_GRAMMAR: Mapping[str, dict[str, Any]] = {
    "structured_outputs": {"structured_outputs": {"regex": "(a+)+$"}},
    "guided_regex": {"guided_regex": "(a+)+$"},
    "guided_grammar": {"guided_grammar": "root ::= root"},
    "pattern": _schema({"type": "string", "pattern": "(a+)+$"}),
    "depth": _schema(_deep(200)),
}
_TEMPLATE: Mapping[str, dict[str, Any]] = {
    "chat_template": {"chat_template": "{{ 1 }}"},
    "chat_template_kwargs": {"chat_template_kwargs": {"tools": []}},
}
_FIELDS: Mapping[str, dict[str, Any]] = {
    "cache_salt": {"cache_salt": "x"},
    "prompt_embeds": {"prompt_embeds": "x"},
    "kv_transfer_params": {"kv_transfer_params": {}},
    "priority": {"priority": 1},
    "an unknown field": {"no_api_has_this": 1},
}


def text_only(host: Host) -> Result:
    """Images, sound, files and videos are refused: their addresses would be fetched."""
    return _refused(host, _TEXT_ONLY)


def grammar(host: Host) -> Result:
    """Grammars, regular expressions and schemas without bounds are refused."""
    return _refused(host, _GRAMMAR)


def template(host: Host) -> Result:
    """Templates are refused."""
    return _refused(host, _TEMPLATE)


def fields(host: Host) -> Result:
    """Fields for the engine's inside, and fields that nobody knows, are refused."""
    return _refused(host, _FIELDS)


def size(host: Host) -> Result:
    """One more than each cap is refused."""
    caps = host.settings.gateway
    message = {"role": "user", "content": "x"}
    return _refused(
        host,
        {
            "n": {"n": caps.max_choices + 1},
            "max_tokens": {"max_tokens": caps.max_output_tokens + 1},
            "messages": {"messages": [message] * (caps.max_messages + 1)},
            "best_of": {"best_of": 2},
        },
    )


def identifier(host: Host) -> Result:
    """A client's request id is not taken."""
    if host.answered_id(_CLIENT_ID) in {_CLIENT_ID, ""}:
        return failed("a client's x-request-id was taken", "클라이언트의 x-request-id가 사용됨")
    return passed("a client's x-request-id was not taken", "클라이언트의 x-request-id는 사용되지 않음")


def routes(host: Host) -> Result:
    """The routes are those of the list."""
    odd = sorted(f"{method} {path}" for method, path in host.routes ^ ROUTES)
    if odd:
        return failed(f"not as listed: {', '.join(odd)}", f"목록과 다름: {', '.join(odd)}")
    return passed(f"{len(ROUTES)} routes, all listed", f"경로 {len(ROUTES)}개, 모두 목록에 있음")


def hosts(host: Host) -> Result:
    """There is an allowlist of host names."""
    allowed = host.settings.gateway.allowed_hosts
    if "*" in allowed:
        return failed("gateway.allowed_hosts is * (any)", "gateway.allowed_hosts가 *(모두 허용)임")
    return passed(f"{len(allowed)} names", f"이름 {len(allowed)}개")


def cache_salt(host: Host) -> Result:
    """Two apps have two salts."""
    if host.salted("one") == host.salted("two") or b"cache_salt" not in host.salted("one"):
        return failed("two apps share a prompt cache", "두 앱이 프롬프트 캐시를 공유함")
    return passed("two apps have two salts", "앱마다 다른 salt 사용")


def metric_labels(host: Host) -> Result:
    """No label but those with bounded values."""
    odd = sorted(host.metric_labels - LABELS)
    if odd:
        return failed(f"labels that nobody bounds: {', '.join(odd)}", f"값이 제한되지 않은 레이블: {', '.join(odd)}")
    return passed(f"{len(host.metric_labels)} labels, all bounded", f"레이블 {len(host.metric_labels)}개, 모두 제한됨")


def _refused(host: Host, bodies: Mapping[str, dict[str, Any]]) -> Result:
    taken = [name for name, body in bodies.items() if not host.refusal(CHAT, {"model": "x", **_QUESTION, **body})]
    if host.refusal(CHAT, {"model": "x", **_QUESTION}):
        return failed("a plain question is refused too, so this shows nothing", "일반 질문도 거부되어 확인할 수 없음")
    if taken:
        return failed(f"taken: {', '.join(taken)}", f"허용됨: {', '.join(taken)}")
    return passed(f"refused: {', '.join(bodies)}", f"거부됨: {', '.join(bodies)}")
