"""A page in a browser on the LAN cannot reach the appliance under a name of its own (DNS rebinding)."""

from __future__ import annotations

import pytest

from appliance.errors import UntrustedHost
from appliance.gateway.asgi import Receive, Scope, Send
from appliance.gateway.hosts import TrustedHosts

pytestmark = pytest.mark.anyio
OURS = ("box.school.example", "10.0.0.5", "[::1]")


async def passes(allowed: tuple[str, ...], *hosts: bytes, kind: str = "http") -> bool:
    passed = False

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal passed
        passed = True

    async def never(*_: object) -> dict[str, object]:
        raise AssertionError

    scope = {"type": kind, "headers": [(b"host", host) for host in hosts]}
    await TrustedHosts(app, allowed)(scope, never, never)  # type: ignore[arg-type]
    return passed


@pytest.mark.parametrize(
    "host", [b"box.school.example", b"BOX.school.example:8080", b"10.0.0.5", b"10.0.0.5:443", b"[::1]", b"[::1]:8080"]
)
async def test_name_of_ours_passes_with_any_port(host: bytes) -> None:
    assert await passes(OURS, host)


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (b"",),
        (b"evil.example",),
        (b"box.school.example.evil.example",),
        (b"evil.example:box.school.example",),
        (b"[::1",),
        (b"[::2]:8080",),
        (b"box.school.example@evil.example",),
        (b"box.school.example", b"evil.example"),
        (b"\xff\xfe",),
    ],
)
async def test_any_other_name_is_refused(hosts: tuple[bytes, ...]) -> None:
    with pytest.raises(UntrustedHost):
        await passes(OURS, *hosts)


async def test_star_allows_any_name() -> None:
    assert await passes(("*",), b"anything")
    assert await passes(("*",))


async def test_start_and_stop_of_the_server_have_no_host() -> None:
    assert await passes(OURS, kind="lifespan")
