"""NVML, NVIDIA's library for managing GPUs: the only place that imports ``pynvml``.

Collectors call NVML's functions by their documented names. What a card or a
driver does not have is None. What says that the card itself is gone is
:class:`GpuDown`, which ends its reading. Anything else is :class:`NvmlFailed`,
which ends one collector's.

Source: NVIDIA, "NVML API Reference Guide".
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

#: Answers that mean: not on this card, or not in this driver.
_ABSENT = (
    "NVML_ERROR_INVALID_ARGUMENT",
    "NVML_ERROR_NOT_SUPPORTED",
    "NVML_ERROR_NOT_FOUND",
    "NVML_ERROR_FUNCTION_NOT_FOUND",
    "NVML_ERROR_NO_DATA",
    "NVML_ERROR_VGPU_ECC_NOT_SUPPORTED",
    "NVML_ERROR_ARGUMENT_VERSION_MISMATCH",
    "NVML_ERROR_DEPRECATED",
    "NVML_ERROR_NOT_READY",
)
#: Answers that mean: this card cannot be used now.
_DOWN = {
    "NVML_ERROR_GPU_IS_LOST": "lost",
    "NVML_ERROR_GPU_NOT_FOUND": "lost",
    "NVML_ERROR_RESET_REQUIRED": "reset_required",
    "NVML_ERROR_INSUFFICIENT_POWER": "insufficient_power",
    "NVML_ERROR_IRQ_ISSUE": "interrupts",
}
#: Why a card is down: these, or that its reading hangs, or waits behind one that does, or fails as a whole.
DOWN_REASONS = ("lost", "reset_required", "insufficient_power", "interrupts", "hung", "unread", "error")
_UNAVAILABLE = {
    "NVML_ERROR_LIBRARY_NOT_FOUND": "library_not_found",
    "NVML_ERROR_DRIVER_NOT_LOADED": "driver_not_loaded",
    "NVML_ERROR_LIB_RM_VERSION_MISMATCH": "version_mismatch",
    "NVML_ERROR_NO_PERMISSION": "no_permission",
    "NVML_ERROR_GPU_NOT_FOUND": "no_gpu",
}
#: Why NVML cannot be used at all.
UNAVAILABLE_REASONS = (*dict.fromkeys(_UNAVAILABLE.values()), "hung", "starting", "error")
#: How long what only an administrator changes (names, limits, thresholds) is kept before it is asked again.
SETTLED_SECONDS = 60.0

_UNION_FIELDS = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}


class NvmlUnavailable(Exception):
    """NVML cannot be opened; ``reason`` is one of :data:`UNAVAILABLE_REASONS`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class GpuDown(Exception):
    """The card does not work; ``reason`` is one of :data:`DOWN_REASONS`."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NvmlFailed(Exception):
    """A call failed in a way that says nothing about the card as a whole."""

    def __init__(self, call: str, code: int) -> None:
        self.call = call
        self.code = code
        super().__init__(f"{call}: NVML error {code}")


@dataclass(frozen=True)
class Versions:
    """Of the driver, its NVML and the newest CUDA it can run."""

    driver: str
    nvml: str
    cuda: str


class Library:
    """The loaded library.

    Args:
        module: stands in for ``pynvml``, in tests.
        clock: seconds that only ever grow.
    """

    def __init__(self, module: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        if module is None:
            import pynvml

            module = pynvml
        self._nvml = module
        self._clock = clock
        self._absent = frozenset(getattr(module, name) for name in _ABSENT if hasattr(module, name))
        self._down = {getattr(module, name): reason for name, reason in _DOWN.items() if hasattr(module, name)}

    def open(self) -> int:
        """Initialise the library.

        Returns:
            How many GPUs the driver shows.

        Raises:
            NvmlUnavailable: no library, no driver, or no GPU.
        """
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as err:
            raise NvmlUnavailable(self._why(err)) from None
        try:
            count = int(self._nvml.nvmlDeviceGetCount())
        except self._nvml.NVMLError as err:
            self.close()
            raise NvmlUnavailable(self._why(err)) from None
        if count == 0:
            self.close()
            raise NvmlUnavailable("no_gpu")
        return count

    def close(self) -> None:
        """Give back what :meth:`open` took."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return  # it was not open, or the driver went away: there is nothing left to close

    def gpu(self, index: int) -> Gpu:
        """The card with this number.

        Raises:
            GpuDown: the driver counts it but cannot reach it.
        """
        try:
            return Gpu(self, str(index), self._nvml.nvmlDeviceGetHandleByIndex(index))
        except self._nvml.NVMLError as err:
            raise GpuDown(self._down.get(err.value, "error")) from None

    def versions(self) -> Versions:
        """What is installed; empty where the driver does not say.

        Raises:
            NvmlFailed: the driver cannot be asked.
        """
        cuda = self.call("nvmlSystemGetCudaDriverVersion")
        return Versions(
            driver=str(self.call("nvmlSystemGetDriverVersion") or ""),
            nvml=str(self.call("nvmlSystemGetNVMLVersion") or ""),
            # 13000 is 13.0: thousands and tens.
            cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else "",
        )

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call one function of NVML.

        Returns:
            Its answer, or None where there is none to be had.

        Raises:
            GpuDown: the card is gone.
            NvmlFailed: anything else.
        """
        function = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(*arguments, **options)
        except self._nvml.NVMLError as err:
            if err.value in self._absent:
                return None
            if err.value in self._down:
                raise GpuDown(self._down[err.value]) from None
            raise NvmlFailed(name, err.value) from None

    def constant(self, name: str) -> int | None:
        """A constant of NVML's header; None if this binding is older."""
        value = getattr(self._nvml, name, None)
        return None if value is None else int(value)

    def now(self) -> float:
        """The clock that settled answers are kept by."""
        return self._clock()

    def events(self, gpus: Sequence[Gpu]) -> XidEvents | None:
        """A subscription to the XIDs of these cards; None where the driver has no events.

        Raises:
            NvmlFailed, GpuDown: the driver refuses it.
        """
        return XidEvents(self, gpus) if gpus and self.constant("nvmlEventTypeXidCriticalError") else None

    def _why(self, err: Any) -> str:
        reasons = {getattr(self._nvml, name, None): reason for name, reason in _UNAVAILABLE.items()}
        return reasons.get(err.value, "error")


class Gpu:
    """One card, or one MIG device of it.

    Args:
        library: where it was found.
        label: value of the label ``gpu``: its number.
        handle: NVML's.
    """

    def __init__(self, library: Library, label: str, handle: Any) -> None:
        self.label = label
        self.handle = handle
        self.library = library
        self._settled: dict[tuple[Any, ...], tuple[float, Any]] = {}

    def ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call ``name(handle, *arguments)``; see :meth:`Library.call`."""
        return self.library.call(name, self.handle, *arguments, **options)

    def settled(self, name: str, *arguments: Any) -> Any:
        """The same for what only an administrator changes: asked again after :data:`SETTLED_SECONDS`."""
        key = (name, *arguments)
        asked_at, answer = self._settled.get(key, (float("-inf"), None))
        if self.library.now() - asked_at >= SETTLED_SECONDS:
            answer = self.ask(name, *arguments)
            self._settled[key] = (self.library.now(), answer)
        return answer

    def fields(self, *names: str, scope: int = 0) -> dict[str, float]:
        """Several field values in one call: those that were answered, by name.

        Args:
            names: constants such as ``NVML_FI_DEV_MEMORY_TEMP``.
            scope: which part, such as the number of a link.
        """
        known = {name: number for name in names if (number := self.library.constant(name)) is not None}
        answers = self.ask("nvmlDeviceGetFieldValues", [(number, scope) for number in known.values()])
        if answers is None:
            return {}
        return {
            name: getattr(answer.value, _UNION_FIELDS[answer.valueType])
            for name, answer in zip(known, answers, strict=True)
            if answer.nvmlReturn == 0 and answer.valueType in _UNION_FIELDS
        }

    def mig_devices(self) -> Iterator[Gpu]:
        """The MIG devices of a card in MIG mode."""
        for index in range(self.settled("nvmlDeviceGetMaxMigDeviceCount") or 0):
            handle = self.ask("nvmlDeviceGetMigDeviceHandleByIndex", index)
            if handle is not None:
                yield Gpu(self.library, self.label, handle)


class XidEvents:
    """A subscription to XIDs. Used by one thread.

    Args:
        library: an open one.
        gpus: cards to listen to.
    """

    def __init__(self, library: Library, gpus: Sequence[Gpu]) -> None:
        self._library = library
        self._labels = {_address(gpu.handle): gpu.label for gpu in gpus}
        # A card that is gone may be reported under a handle of its own; with one card there is no doubt which.
        self._stranger = gpus[0].label if len(gpus) == 1 else ""
        self._timeout = library.constant("NVML_ERROR_TIMEOUT")
        kind = library.constant("nvmlEventTypeXidCriticalError") or 0
        self._set = library.call("nvmlEventSetCreate")
        for gpu in gpus:
            if (gpu.ask("nvmlDeviceGetSupportedEventTypes") or 0) & kind:
                gpu.ask("nvmlDeviceRegisterEvents", kind, self._set)

    def wait(self, milliseconds: int) -> tuple[str, int] | None:
        """The next XID as (label of the card, number), or None if none came in this time.

        Raises:
            NvmlFailed, GpuDown: the driver cannot be waited on.
        """
        try:
            data = self._library.call("nvmlEventSetWait_v2", self._set, milliseconds)
        except NvmlFailed as err:
            if err.code == self._timeout:
                return None
            raise
        if data is None:
            raise NvmlFailed("nvmlEventSetWait_v2", 0)
        return self._labels.get(_address(data.device), self._stranger), int(data.eventData)

    def close(self) -> None:
        """End it."""
        try:
            self._library.call("nvmlEventSetFree", self._set)
        except (NvmlFailed, GpuDown):
            return  # the driver went away and took it along


def _address(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
