"""Claims about ``health.controls.listeners``."""

from __future__ import annotations

import pytest

from appliance.core.evidence import Outcome
from appliance.health.controls import listeners
from tests.health.controls import world as worlds
from tests.health.controls.world import World


@pytest.mark.parametrize(
    ("host", "outcome"),
    [
        ("", Outcome.PASS),
        ("::1", Outcome.PASS),
        ("192.168.9.2", Outcome.PASS),
        ("0.0.0.0", Outcome.FAIL),
        ("10.0.0.1", Outcome.FAIL),
        ("box.local", Outcome.FAIL),
    ],
)
def test_the_admin_listener_belongs_on_loopback_or_the_admin_network(world: World, host: str, outcome: Outcome) -> None:
    world.set("gateway", admin_host=host)
    assert listeners.admin(world.host()).outcome is outcome


def test_without_tls_only_loopback_is_no_matter(world: World) -> None:
    world.set("gateway", tls_certificate_path=None, host="127.0.0.1")
    assert listeners.tls(world.host()).outcome is Outcome.NOT_APPLICABLE
    world.set("gateway", host="0.0.0.0")
    assert listeners.tls(world.host()).outcome is Outcome.FAIL


def test_a_certificate_that_ended_fails(world: World) -> None:
    world.changes["now"] = worlds.NOW + 366 * 86_400
    assert listeners.tls(world.host()).outcome is Outcome.FAIL
    (world.root / "tls.pem").write_text("nonsense")
    assert listeners.tls(world.host()).outcome is Outcome.UNKNOWN
