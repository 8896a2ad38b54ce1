"""Breaking a control turns exactly its line to FAIL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from appliance.cli import this_host
from appliance.core.controls import BY_KEY, CONTROLS
from appliance.core.evidence import Outcome
from appliance.health.controls import register
from appliance.health.host import Answer
from tests.health.controls import world as worlds
from tests.health.controls.world import World


def _sql(world: World, database: str, statement: str) -> None:
    with closing(sqlite3.connect(world.state / database)) as connection, connection:
        connection.execute(statement)


def _takes(world: World, word: str) -> None:
    """A gateway whose parser lets one thing in."""
    usual = world.host().refusal
    world.changes["refusal"] = lambda path, body: "" if word in str(body) else usual(path, body)


def _without_rule(world: World) -> None:
    listing = world.answers[worlds.NFT_LIST].text
    world.answers[worlds.NFT_LIST] = Answer(listing.replace("policy drop", "policy accept", 1))


def _foreign_network(world: World) -> None:
    (world.engine / "net" / "dev").write_text(worlds.DEVICES + "  eth0: 0 0 0\n")


def _changed_licence(world: World) -> None:
    (world.model / "LICENSE").write_text("changed\n")


def _more_code(world: World) -> None:
    (world.model / "modeling_evil.py").write_text("import os\n")


def _open_socket(world: World) -> None:
    world.start_engine(more=("--port", "8000"))


def _no_limit(world: World) -> None:
    limit = "Max core file size        unlimited            unlimited            bytes\n"
    (world.engine / "limits").write_text(limit)


def _unit(name: str, **changes: str) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.answers[f"systemctl show {name}"] = worlds.unit(name, **changes)

    return change


BREAK: dict[str, Callable[[World], object]] = {
    "egress.rules": _without_rule,
    "egress.engine_silent": lambda w: w.answers.update({worlds.NFT_COUNTERS: worlds.counters(engine=1)}),
    "egress.privacy_test": lambda w: worlds.note(w, "privacy-test.json", ok=False, canaries_found=1),
    "engine.network": _foreign_network,
    "engine.socket": _open_socket,
    "engine.serialization": lambda w: w.start_engine(VLLM_ALLOW_INSECURE_SERIALIZATION="1"),
    "engine.code": lambda w: w.start_engine(more=("--trust-remote-code",)),
    "engine.grammar": lambda w: w.start_engine(more=("--structured-outputs-config", '{"backend": "auto"}')),
    "engine.template": lambda w: w.start_engine(without="--no-trust-request-chat-template"),
    "engine.caps": lambda w: w.start_engine(VLLM_MAX_N_SEQUENCES="16384"),
    "engine.prefix_hash": lambda w: w.start_engine(more=("--prefix-caching-hash-algo", "builtin")),
    "engine.offline": lambda w: w.start_engine(HF_HUB_OFFLINE=None),
    "engine.no_content_logged": lambda w: w.start_engine(VLLM_SERVER_DEV_MODE="1"),
    "request.text_only": lambda w: _takes(w, "image_url"),
    "request.identifier": lambda w: w.changes.update(answered_id=lambda chosen: chosen),
    "request.routes": lambda w: w.changes.update(routes=w.host().routes | {("POST", "/invocations")}),
    "request.hosts": lambda w: w.set("gateway", allowed_hosts=("*",)),
    "request.grammar": lambda w: _takes(w, "guided_regex"),
    "request.template": lambda w: _takes(w, "chat_template_kwargs"),
    "request.size": lambda w: _takes(w, "'n': 9"),
    "request.fields": lambda w: _takes(w, "prompt_embeds"),
    "request.cache_salt": lambda w: w.changes.update(salted=lambda _account: b'{"cache_salt":"same"'),
    "request.metric_labels": lambda w: w.changes.update(metric_labels=frozenset({"app", "user_agent"})),
    "keys.hashed": lambda w: _sql(w, "keys.sqlite3", "UPDATE api_key SET digest = x'00'"),
    "keys.accountable": lambda w: _sql(w, "keys.sqlite3", "UPDATE api_key SET app = ' '"),
    "files.modes": lambda w: (w.state / "keys.sqlite3").chmod(0o644),
    "listener.admin": lambda w: w.set("gateway", admin_host="192.168.0.5"),
    "listener.tls": lambda w: w.set("gateway", tls_certificate_path=None, tls_key_path=None),
    "audit.intact": lambda w: _sql(w, "records.sqlite3", "DELETE FROM record WHERE sequence = 4"),
    "audit.retention": lambda w: w.set("audit", retention_days=364),
    "audit.required": lambda w: w.set("audit", required=False),
    "backup.fresh": lambda w: worlds.note(w, "backup.json", at=worlds.NOW - 40 * 3600),
    "bundle.signature": _changed_licence,
    "bundle.files": _more_code,
    "software.versions": lambda w: w.changes.update(
        version_of={"vllm": "0.31.9", "starlette": "1.0.1", "torch": "2.6.0"}.get
    ),
    "software.pth": lambda w: (w.root / "site" / "litellm_init.pth").write_text("import base64; exec('')\n"),
    "host.clock": lambda w: w.answers.update({worlds.CLOCK: Answer("no\n")}),
    "host.core_dumps": _no_limit,
    "host.sandbox": _unit("appliance-engine.service", PrivateNetwork="no"),
    "host.users": _unit("appliance-exporter.service", User="appliance-gateway"),
}


def test_every_control_has_a_check_and_a_way_to_break_it() -> None:
    assert list(register.CHECKS) == [control.key for control in CONTROLS]
    assert set(BREAK) == set(BY_KEY)


def test_on_a_box_that_is_right_every_control_passes(world: World) -> None:
    assert {key: result for key, result in world.results().items() if result.outcome is not Outcome.PASS} == {}


@pytest.mark.parametrize("key", list(BREAK))
def test_breaking_a_control_turns_exactly_its_line_to_fail(world: World, key: str) -> None:
    BREAK[key](world)
    results = world.results()
    assert {name for name, result in results.items() if result.outcome is not Outcome.PASS} == {key}
    assert results[key].outcome is Outcome.FAIL
    assert results[key].reason.english
    assert results[key].reason.korean


def test_a_control_that_cannot_be_looked_at_is_not_called_good(world: World) -> None:
    for command in world.answers:
        world.answers[command] = Answer(problem="Operation not permitted")
    seen = replace(world.host(), root=world.root / "nowhere")
    (world.root / "nowhere" / "proc").mkdir(parents=True)
    (world.root / "nowhere" / "run/systemd/system").mkdir(parents=True)
    outcomes = {key: check(seen).outcome for key, check in register.CHECKS.items()}
    unlooked = {
        "egress.rules", "egress.engine_silent", "engine.network", "host.clock", "host.core_dumps", "host.sandbox",
        "host.users",
    }  # fmt: skip
    assert {key for key, outcome in outcomes.items() if outcome is Outcome.UNKNOWN} == unlooked


def test_the_engines_controls_look_at_the_running_engine_else_at_its_next_start(world: World) -> None:
    assert "process 100" in world.results()["engine.code"].reason.english
    (world.engine / "cmdline").write_text("/bin/other\0")
    assert "next start" in world.results()["engine.code"].reason.english
    assert this_host.launch_line(world.tree).running is None
