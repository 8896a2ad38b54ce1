import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from appliance.bundles.endpoint import Endpoint
from appliance.errors import EvaluationFailed


class Handler(BaseHTTPRequestHandler):
    """Answers a chat request with its own question; refuses a wrong key, and a question that says so."""

    def do_GET(self):
        self._send(200, self.server.models)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = asked["messages"][-1]["content"]
        if self.headers.get("Authorization") != "Bearer sk-good":
            self._send(401, {"error": {"message": "no such key"}})
        elif said == "refuse":
            self._send(400, {"error": {"message": "too long"}})
        elif said == "odd":
            self._send(200, {"choices": []})
        else:
            self._send(200, {"choices": [{"message": {"content": f"echo {said}"}}]})

    def _send(self, status, document):
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words):
        pass


@pytest.fixture
def server():
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.models = {"data": [{"id": "first"}, {"id": "second"}]}
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def endpoint(server, key="sk-good"):
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1/", key)


def chat(*questions):
    return [{"messages": [{"role": "user", "content": text}]} for text in questions]


def silent(_done, _total):
    pass


def test_answers_come_in_the_order_of_the_questions(server):
    told = []
    questions = [str(number) for number in range(20)]
    replies = endpoint(server).answers(chat(*questions), 4, lambda done, total: told.append((done, total)))
    assert replies == [f"echo {text}" for text in questions]
    assert told[-1] == (20, 20)


def test_question_that_is_refused_is_empty_and_the_rest_goes_on(server):
    assert endpoint(server).answers(chat("a", "refuse", "odd", "b"), 2, silent) == ["echo a", "", "", "echo b"]


def test_wrong_key_ends_at_the_first_question_with_what_the_server_said(server):
    with pytest.raises(EvaluationFailed, match=r"401.*no such key"):
        endpoint(server, "sk-bad").answers(chat("a", "b"), 2, silent)


def test_first_model_is_taken_and_none_is_told(server):
    assert endpoint(server).model() == "first"
    server.models = {"data": []}
    with pytest.raises(EvaluationFailed, match="lists no model"):
        endpoint(server).model()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/v1", "file:///etc/passwd", "box:8000"])
def test_address_that_cannot_be_asked_is_told(address):
    with pytest.raises(EvaluationFailed):
        Endpoint(address, "").model()


def test_no_questions_ask_nothing():
    assert Endpoint("http://127.0.0.1:1/v1", "").answers([], 2, silent) == []
