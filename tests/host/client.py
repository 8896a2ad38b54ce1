"""The app on the LAN: the official SDK, run at the machine's neighbour, which knows an address, a key and a CA."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from tests.host.machine import ADDRESS, Machine

_ASK = """
import concurrent.futures, json, sys, httpx, openai
address, port, key, authority, count = sys.argv[1:]
client = openai.OpenAI(base_url=f"https://{address}:{port}/v1", api_key=key, max_retries=2, timeout=300,
    http_client=httpx.Client(verify=authority, trust_env=False))
def ask(number):
    answer = client.chat.completions.create(model="gpt-4o", max_tokens=8,
        messages=[{"role": "user", "content": f"{number} + 1 ="}])
    return answer.usage.completion_tokens
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(ask, range(int(count))))))
"""


@dataclass(frozen=True)
class Client:
    """Where the API is and what it is asked with."""

    machine: Machine
    port: int
    key: str

    def ask(self, count: int = 1) -> list[int]:
        """Ask ``count`` short questions, eight at a time; the number of tokens of each answer.

        Raises:
            AssertionError: one of them was not answered.
        """
        authority = self.machine.root / "etc/appliance/tls/ca.crt"
        arguments = (ADDRESS, str(self.port), self.key, str(authority), str(count))
        command = self.machine.beside(sys.executable, "-c", _ASK, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        tokens: list[int] = json.loads(done.stdout)
        return tokens
