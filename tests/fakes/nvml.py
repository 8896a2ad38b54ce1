"""Stands in for the ``pynvml`` module, where no GPU is.

``recorded()`` replays what the NVML of a real H100 answered, call by call, errors
included (``tests/fixtures/nvml_h100.json``; a call that was not recorded is one the
driver does not have). ``nvml_cards`` has the synthetic cards. Constants, error
classes and the structures of field values and events are pynvml's own.
"""

from __future__ import annotations

import copy
import ctypes
import json
import queue
import re
import threading
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml

FIXTURE = Path(__file__).parents[1] / "fixtures" / "nvml_h100.json"
Card = dict[str, Any]

_ERROR_CODES = {
    name.removeprefix("NVML_ERROR_").replace("_", "").lower(): value
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_")
}
_MANY_SECONDS = 60.0


def recorded() -> Card:
    """The real H100 at idle: ``calls`` and ``fields``."""
    card: Card = json.loads(FIXTURE.read_text(encoding="utf-8"))
    return card


class FakeNvml:
    """A driver with these cards.

    Args:
        cards: in the order of their numbers; ``mig`` in one lists its MIG devices.
        in_real_time: take the time that each call was recorded to take.
    """

    def __init__(self, *cards: Card, in_real_time: bool = False) -> None:
        self.cards = [copy.deepcopy(card) for card in cards]
        self.calls: deque[tuple[str, int]] = deque(maxlen=10_000)
        self.opened = 0
        self.events: queue.Queue[pynvml.c_nvmlEventData_t | int] = queue.Queue()
        self.released = threading.Event()
        self.waiting = threading.Event()
        self._in_real_time = in_real_time
        self._broken: dict[str, int] = {}
        self._hanging: set[str] = set()
        self._handles: dict[int, Card] = {}

    def fail(self, call: str, code: int) -> None:
        """Let a call (its name, ``*`` for all on a card) fail with this NVML error; 0 mends it."""
        self._broken[call] = code

    def hang(self, call: str) -> None:
        """Let a call hang until ``released`` is set; ``waiting`` is set once it does."""
        self._hanging.add(call)

    def lose(self) -> None:
        """All cards fall off the bus."""
        self.fail("*", pynvml.NVML_ERROR_GPU_IS_LOST)

    def report_xid(self, number: int, card: int = 0) -> None:
        """The driver reports an XID."""
        self.events.put(
            pynvml.c_nvmlEventData_t(
                device=self._handle(self.cards[card]),
                eventType=pynvml.nvmlEventTypeXidCriticalError,
                eventData=number,
            )
        )

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml") or not callable(getattr(pynvml, name, None)):
            return getattr(pynvml, name)
        return lambda *arguments, **options: self._call(name, arguments, options)

    def nvmlInit(self) -> None:  # noqa: N802
        self._before("nvmlInit")
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._before("nvmlDeviceGetCount")
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        self._before("nvmlDeviceGetHandleByIndex")
        return self._handle(self.cards[index])

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return str(self.cards[0]["driver"])

    def nvmlSystemGetNVMLVersion(self) -> str:  # noqa: N802
        return str(self.cards[0]["nvml_version"])

    def nvmlSystemGetCudaDriverVersion(self) -> int:  # noqa: N802
        if "cuda" not in self.cards[0]:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return int(self.cards[0]["cuda"])

    def nvmlEventSetCreate(self) -> object:  # noqa: N802
        self._before("nvmlEventSetCreate")
        return object()

    def nvmlDeviceRegisterEvents(self, _handle: Any, _types: int, _events: object) -> None:  # noqa: N802
        self._before("nvmlDeviceRegisterEvents")

    def nvmlEventSetFree(self, _events: object) -> None:  # noqa: N802
        """Nothing is held."""

    def nvmlEventSetWait_v2(self, _events: object, milliseconds: int) -> Any:  # noqa: N802
        self._before("nvmlEventSetWait_v2")
        try:
            return self.events.get(timeout=milliseconds / 1000)
        except queue.Empty:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT) from None

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: int) -> Any:  # noqa: N802
        devices = self._card(handle).get("mig", [])
        if index >= len(devices):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self._handle(devices[index])

    def nvmlDeviceGetFieldValues(self, handle: Any, wanted: list[Any]) -> Any:  # noqa: N802
        self._before("nvmlDeviceGetFieldValues", on_card=True)
        self._took(f"nvmlDeviceGetFieldValues({','.join(str(number) for number, _ in wanted)})", 0)
        fields = self._card(handle)["fields"]
        answers = (pynvml.c_nvmlFieldValue_t * len(wanted))()
        for answer, (number, _scope) in zip(answers, wanted, strict=True):
            known = fields.get(str(number), {"ret": pynvml.NVML_ERROR_NOT_SUPPORTED, "type": 0, "ull": 0})
            answer.fieldId, answer.nvmlReturn, answer.valueType = number, known["ret"], known["type"]
            answer.value.ullVal = known["ull"]
        return answers

    def _call(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self._before(name, on_card=True)
        handle, *rest = arguments
        if options.get("version"):
            name += "_v2"
        key = f"{name}({','.join(str(argument) for argument in rest)})"
        answer = self._card(handle)["calls"].get(key, {"error": "NVMLError_FunctionNotFound", "us": 0})
        self._took(key, answer.get("us", 0))
        if "error" in answer:
            word = re.match(r"NVMLError_(\w+)", answer["error"])
            raise pynvml.NVMLError(_ERROR_CODES[word[1].lower()] if word else pynvml.NVML_ERROR_UNKNOWN)
        return _object(answer["value"])

    def _took(self, key: str, microseconds: int) -> None:
        self.calls.append((key, microseconds))
        if self._in_real_time:
            time.sleep(microseconds / 1e6)

    def _before(self, name: str, *, on_card: bool = False) -> None:
        if name in self._hanging:
            self.waiting.set()
            assert self.released.wait(_MANY_SECONDS)
        code = self._broken.get(name) or (self._broken.get("*") if on_card else 0)
        if code:
            raise pynvml.NVMLError(code)

    def _handle(self, card: Card) -> Any:
        # An address that is never followed: one of a card's own, as NVML's handles are.
        self._handles[id(card)] = card
        return ctypes.cast(ctypes.c_void_p(id(card)), pynvml.c_nvmlDevice_t)

    def _card(self, handle: Any) -> Card:
        return self._handles[ctypes.cast(handle, ctypes.c_void_p).value or 0]


def _object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: _object(part) for name, part in value.items()})
    return [_object(part) for part in value] if isinstance(value, list) else value
