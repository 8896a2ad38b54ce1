"""One request and its answer: what the layers tell each other, and never a word of content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.core import error_body
from appliance.core.admission import Priority
from appliance.core.api_key import ApiKey
from appliance.core.event_stream import Usage
from appliance.errors import ApplianceError
from appliance.gateway.asgi import Scope
from appliance.gateway.lease import Lease

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
    #: The stored key (rights and limits, no secret), and the hold on its limits if it has any.
    grant: ApiKey | None = None
    lease: Lease | None = None
    #: Class of the key.
    priority: Priority = "interactive"
    #: How long it waited for a slot at the engine.
    queue_seconds: float = 0.0
    #: When it went to the engine, monotonic seconds, and who is to be told of that; 0 if it never did.
    engine_started: float = 0.0
    on_engine: Callable[[], None] | None = None
    #: When the engine's last byte came, and when a stream's first token went out; 0 if that never was.
    engine_ended: float = 0.0
    first_token: float = 0.0
    model: str = ""
    stream: bool = False
    status: int = 0
    #: The key of the error that ended it, or empty.
    error: str = ""
    #: The client left before the end.
    cancelled: bool = False
    usage: Usage | None = None
    #: How a failure is written into a stream that has begun.
    render_failure: Callable[[ApplianceError], bytes] = error_body.render_event
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


def attach(scope: Scope, exchange: Exchange) -> None:
    """Make the exchange known to the inner layers."""
    scope[_SLOT] = exchange


def of(scope: Scope) -> Exchange:
    """The exchange of this request."""
    exchange: Exchange = scope[_SLOT]
    return exchange
