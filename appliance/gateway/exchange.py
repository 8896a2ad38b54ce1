"""One request and its answer: what the layers tell each other, and never a word of content."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.core.event_stream import Usage
from appliance.gateway.asgi import Scope

_SLOT = "appliance.exchange"


@dataclass(slots=True)
class Exchange:
    """Grows as the request passes inward; read by the outer layers when it is over.

    Times are monotonic seconds.
    """

    request_id: str
    route: str
    method: str
    started: float
    key_id: str = ""
    app: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    #: The key of the error that ended it, or empty.
    error: str = ""
    #: The client left before the end.
    cancelled: bool = False
    usage: Usage | None = None
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


def attach(scope: Scope, exchange: Exchange) -> None:
    """Make the exchange known to the inner layers."""
    scope[_SLOT] = exchange


def of(scope: Scope) -> Exchange:
    """The exchange of this request."""
    exchange: Exchange = scope[_SLOT]
    return exchange
