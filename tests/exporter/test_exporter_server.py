"""The listener."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest

from appliance.errors import PortTaken, SettingsInvalid
from appliance.exporter import server
from appliance.exporter.server import Server


@pytest.fixture
def listening():
    one = Server("127.0.0.1", 0, lambda: b"metric 1\n")
    thread = threading.Thread(target=one.serve_forever, args=(0.01,))
    thread.start()
    yield one
    one.shutdown()
    thread.join(30)
    one.server_close()


def ask(one, method, path):
    connection = http.client.HTTPConnection(*one.server_address[:2], timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def raw(one, request):
    with socket.create_connection(one.server_address[:2], timeout=30) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_metrics_are_at_their_place_in_the_format_prometheus_reads(listening):
    answer, body = ask(listening, "GET", "/metrics?x=1")
    assert (answer.status, body) == (200, b"metric 1\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/other", 404), ("/metrics/x", 404)])
def test_nothing_else_is_there(listening, path, status):
    answer, body = ask(listening, "GET", path)
    assert answer.status == status
    assert b"/metrics" in body


def test_head_has_the_headers_only(listening):
    answer, body = ask(listening, "HEAD", "/metrics")
    assert (answer.status, answer.headers["Content-Length"], body) == (200, "9", b"")


def test_other_methods_and_odd_requests_get_plain_text_that_repeats_nothing(listening):
    answer, body = ask(listening, "POST", "/metrics")
    assert (answer.status, body) == (501, b"Not Implemented\n")
    odd = raw(listening, b"<script> / HTTP/1.1\r\n\r\n")
    assert b"script" not in odd
    assert b"Python" not in odd


def test_a_connection_is_kept_for_the_next_scrape(listening):
    connection = http.client.HTTPConnection(*listening.server_address[:2], timeout=30)
    for _ in range(3):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == b"metric 1\n"
    connection.close()


def test_connections_beyond_the_limit_are_closed_and_room_is_made_again(listening, monkeypatch):
    monkeypatch.setattr(listening, "_free", threading.BoundedSemaphore(1))
    held = http.client.HTTPConnection(*listening.server_address[:2], timeout=30)
    held.request("GET", "/metrics")
    held.getresponse().read()
    with socket.create_connection(listening.server_address[:2], timeout=30) as refused:
        assert refused.recv(1) == b""
    held.close()
    assert listening._free.acquire(timeout=30)
    listening._free.release()
    assert ask(listening, "GET", "/metrics")[0].status == 200


def test_a_taken_port_is_said_with_the_remedy(listening):
    with pytest.raises(PortTaken, match="APPLIANCE_EXPORTER__PORT"):
        Server("127.0.0.1", listening.server_address[1], bytes)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(SettingsInvalid, match=r"exporter\.host"):
        Server("192.0.2.1", 0, bytes)


def test_a_client_that_leaves_in_the_middle_is_no_news(listening, capsys):
    with socket.create_connection(listening.server_address[:2], timeout=30) as leaving:
        leaving.sendall(b"GET /metrics HTT")
    assert ask(listening, "GET", "/metrics")[0].status == 200
    assert capsys.readouterr().err == ""


def test_an_answer_leaves_at_once(listening, monkeypatch):
    seen = []
    whole = server._Handler.do_GET

    def watched(handler):
        seen.append(handler.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        whole(handler)

    monkeypatch.setattr(server._Handler, "do_GET", watched)
    ask(listening, "GET", "/metrics")
    assert seen[0] != 0


def test_idle_connections_outlive_a_usual_scrape_interval():
    assert server.IDLE_SECONDS >= 60
