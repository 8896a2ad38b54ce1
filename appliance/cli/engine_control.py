"""Asks a running engine to change its model (``engine.control`` is the other end)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from appliance.errors import EngineStartFailed, ModelChangeFailed

#: How often the asker is told that the engine is still at it.
TICK_SECONDS = 0.5
_MAX_LINE_BYTES = 65_536


class EngineControl:
    """A connection to the engine's process. Leaving it leaves the decision to the link ``active``.

    Args:
        path: the control socket.

    Raises:
        ConnectionError: nobody listens: no engine runs.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as err:
            self._socket.close()
            raise ConnectionError(str(err)) from None
        self._socket.settimeout(TICK_SECONDS)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def load(self, directory: Path) -> None:
        """Order the engine to load an installed bundle."""
        self._send({"load": str(directory)})

    def decided(self) -> None:
        """Say that the link names what is to be kept."""
        self._send({"done": True})

    def steps(self) -> Iterator[dict[str, Any]]:
        """What happens, an object a step; an empty one every half second in which nothing does.

        Raises:
            EngineStartFailed: the engine's process has ended.
            ModelChangeFailed: it refused; nothing has changed.
        """
        while True:
            step = self._step()
            if step.get("step") == "refused":
                raise failure(step)
            yield step

    def _step(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(_MAX_LINE_BYTES)
            except TimeoutError:
                return {}
            except OSError:
                data = b""
            if not data:
                raise EngineStartFailed(
                    "The engine's process ended while its model was changed.",
                    remedy="Start it again; it serves what `appliance bundle list` shows as active.",
                )
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        step = json.loads(line)
        return step if isinstance(step, dict) else {}

    def _send(self, words: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError:
            return  # the next step says that it has gone


def failure(step: dict[str, Any]) -> ModelChangeFailed:
    """The error that a step ``refused`` or ``failed`` tells of."""
    return ModelChangeFailed(str(step.get("message", "")), remedy=str(step.get("remedy", "")))
