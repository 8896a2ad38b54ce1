"""A request frees what it made by itself: the collector's full rounds would be pauses for every stream."""

from __future__ import annotations

import gc
import socket

import orjson

from tests.gateway.conftest import CHAT, Gateway

REQUESTS = 20


def ask(gateway: Gateway, body: bytes, count: int) -> None:
    """Keep-alive requests over one plain socket: no client library whose own garbage would be counted."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        for _ in range(count):
            connection.sendall(head + body)
            received = b""
            while b'"usage"' not in received and b"[DONE]\n\n\r\n0\r\n\r\n" not in received:
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")


def test_request_leaves_nothing_to_the_garbage_collector(gateway: Gateway) -> None:
    for fields in ({}, {"stream": True}):
        body = orjson.dumps({**CHAT, **fields})
        ask(gateway, body, 3)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            ask(gateway, body, REQUESTS)
            gc.collect()
            ours = [kind for kind in map(type, gc.garbage) if kind.__module__.startswith("appliance.")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
        # A probe's few are not a request's.
        assert len(ours) < REQUESTS, sorted(kind.__qualname__ for kind in ours)
