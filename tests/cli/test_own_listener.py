"""Commands on the box reach its own gateway over TLS, and nobody else in its place."""

from __future__ import annotations

import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.cli import own_listener, serve
from appliance.errors import CertificateUnusable
from appliance.gateway.keystore import KeyStore
from appliance.settings import Settings
from tests.cli.foreground import free_port, wait_for
from tests.fakes.engine import FakeEngine
from tests.gateway import certificates
from tests.gateway.certificates import Pair


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(pair: Pair, directory: Path) -> Iterator[int]:
    """A server on loopback that shows a certificate."""
    directory.mkdir(exist_ok=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.write(directory))
    with http.server.HTTPServer(("127.0.0.1", 0), _Ready) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def settings(port: int, directory: Path) -> Settings:
    paths = {"tls_certificate_path": directory / "server.crt", "tls_key_path": directory / "server.key"}
    return Settings(gateway={"port": port, **paths})  # type: ignore[arg-type]


def test_own_certificate_is_trusted_whoever_signed_it(tmp_path: Path) -> None:
    pair = certificates.make("box", certificates.make("Test CA"))
    with listening(pair, tmp_path) as port:
        assert serve.is_ready(settings(port, tmp_path))
        assert serve.base_url(settings(port, tmp_path)) == f"https://127.0.0.1:{port}/v1"


def test_certificate_of_another_is_not_trusted_even_from_the_same_ca(tmp_path: Path) -> None:
    authority = certificates.make("Test CA")
    certificates.make("box", authority).write(tmp_path)
    with listening(certificates.make("box", authority), tmp_path / "other") as port:
        assert not serve.is_ready(settings(port, tmp_path))


def test_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CertificateUnusable, match="cannot be read"):
        own_listener.trust(settings(8443, tmp_path))


def test_without_a_certificate_there_is_no_tls() -> None:
    assert own_listener.trust(Settings()) is None
    assert own_listener.scheme(Settings()) == "http"


@pytest.mark.process
@pytest.mark.timeout(300)  # it searches the whole machine, which others may be using
def test_privacy_test_asks_over_tls_with_a_key_from_a_file_and_leaves_the_keys_alone(state_dir: Path) -> None:
    pair = certificates.make("box", certificates.make("Test CA"))
    crt, key_path = pair.write(state_dir)
    _, key = KeyStore(state_dir / "keys.sqlite3").create("privacy-test", now=time.time())
    (state_dir / "credential").write_text(key + "\n")
    port = free_port()
    environment = {
        **os.environ,
        "APPLIANCE_GATEWAY__PORT": str(port),
        "APPLIANCE_GATEWAY__TLS_CERTIFICATE_PATH": str(crt),
        "APPLIANCE_GATEWAY__TLS_KEY_PATH": str(key_path),
        "APPLIANCE_ENGINE__SOCKET_PATH": str(state_dir / "engine.sock"),
    }
    appliance = [sys.executable, "-m", "appliance"]
    here = ["--state-dir", str(state_dir)]
    with FakeEngine(state_dir / "engine.sock"):
        gateway = subprocess.Popen([*appliance, "gateway", *here], env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: serve.is_ready(settings(port, state_dir)))
            done = subprocess.run(
                [*appliance, "privacy-test", *here, "--json", "--key-file", str(state_dir / "credential")],
                env=environment,
                capture_output=True,
                text=True,
                timeout=200,
                check=False,
            )
        finally:
            gateway.terminate()
            gateway.wait(30)
    assert done.returncode == 0, done.stderr
    assert 200 in json.loads(done.stdout)["planted"].values()
    assert [record.revoked_at for record in KeyStore(state_dir / "keys.sqlite3").list()] == [None]
