"""The public listener as a process: over TLS, with a renewed certificate, under a service manager."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.gateway.keystore import KeyStore
from tests.cli.foreground import free_port, wait_for
from tests.engine.supervised_engine import NotifySocket
from tests.fakes.engine import FakeEngine
from tests.gateway import certificates
from tests.gateway.certificates import Pair

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def authority() -> Pair:
    return certificates.make("Test CA")


@pytest.fixture(scope="module")
def server(authority: Pair) -> Pair:
    return certificates.make("box", authority)


class Gateway:
    """``appliance gateway`` with a certificate, under a service manager."""

    def __init__(self, state_dir: Path, engine: FakeEngine) -> None:
        self.port = free_port()
        self.ca = state_dir / "ca.crt"
        self.log = state_dir / "gateway.log"
        self.manager = NotifySocket(state_dir / "notify")
        _, self.key = KeyStore(state_dir / "keys.sqlite3").create("app", now=time.time())
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)],
                stderr=log,
                env={
                    **os.environ,
                    "APPLIANCE_GATEWAY__PORT": str(self.port),
                    "APPLIANCE_GATEWAY__TLS_CERTIFICATE_PATH": str(state_dir / "server.crt"),
                    "APPLIANCE_GATEWAY__TLS_KEY_PATH": str(state_dir / "server.key"),
                    "APPLIANCE_ENGINE__SOCKET_PATH": str(engine.path),
                    "NOTIFY_SOCKET": str(self.manager.path),
                    "WATCHDOG_USEC": "2000000",
                },
            )

    def heard(self, line: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return line in self.manager.lines()

    def shown(self) -> bytes:
        context = ssl.create_default_context(cafile=self.ca)
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.selected_alpn_protocol() in {None, "http/1.1"}
            return connection.getpeercert(binary_form=True) or b""


@pytest.fixture
def gateway(state_dir: Path, authority: Pair, server: Pair) -> Iterator[Gateway]:
    server.write(state_dir)
    (state_dir / "ca.crt").write_bytes(authority.pem)
    with FakeEngine(state_dir / "engine.sock") as engine:
        running = Gateway(state_dir, engine)
        try:
            wait_for(lambda: running.heard("READY=1"))
            yield running
        finally:
            running.process.kill()
            running.process.wait()
            running.manager.close()


def test_official_client_is_answered_over_tls_and_nobody_in_plain_text(gateway: Gateway) -> None:
    with httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca)) as transport:
        client = openai.OpenAI(
            base_url=f"https://127.0.0.1:{gateway.port}/v1", api_key=gateway.key, http_client=transport, max_retries=0
        )
        question = [{"role": "user", "content": "1 + 1 = ?"}]
        assert client.chat.completions.create(model="gpt-4o", messages=question).choices[0].message.content
        stream = client.chat.completions.create(model="gpt-4o", messages=question, stream=True)
        assert len(list(stream)) > 1
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{gateway.port}/health/live")


def test_hang_up_signal_takes_a_renewed_certificate_without_losing_a_connection(
    gateway: Gateway, state_dir: Path, authority: Pair, server: Pair
) -> None:
    before = gateway.shown()
    with httpx.Client(verify=ssl.create_default_context(cafile=gateway.ca)) as client:
        url = f"https://127.0.0.1:{gateway.port}/health/live"
        assert client.get(url).status_code == 200
        renewed = certificates.make("box", authority, days=90, key=ec.generate_private_key(ec.SECP384R1()))
        renewed.write(state_dir)
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: gateway.shown() == renewed.certificate.public_bytes(Encoding.DER))
        assert client.get(url).status_code == 200
    assert before == server.certificate.public_bytes(Encoding.DER)


def test_watchdog_is_fed_from_the_event_loop_and_told_of_the_end(gateway: Gateway) -> None:
    wait_for(lambda: gateway.heard("WATCHDOG=1"))
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(30) == 0
    assert "STOPPING=1" in gateway.manager.lines()


def test_gateway_that_stands_still_feeds_no_watchdog(gateway: Gateway) -> None:
    wait_for(lambda: gateway.heard("WATCHDOG=1"))
    gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)  # what was sent before the signal arrives
    gateway.manager.lines().clear()
    time.sleep(1.5)  # three times the interval in which a running one speaks
    assert gateway.manager.lines() == []
    gateway.process.send_signal(signal.SIGCONT)
    wait_for(lambda: gateway.heard("WATCHDOG=1"))


def test_gateway_with_a_certificate_that_it_cannot_use_says_so_in_one_line(state_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "gateway", "--state-dir", str(state_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "APPLIANCE_GATEWAY__TLS_CERTIFICATE_PATH": str(state_dir / "none.crt"),
            "APPLIANCE_GATEWAY__TLS_KEY_PATH": str(state_dir / "none.key"),
        },
    )
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be read" in done.stderr
