"""One run of the engine: a keeper with vLLM below it, from start to the last process gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import IO

from appliance import logs
from appliance.engine import processes
from appliance.engine.claim import UMASK
from appliance.engine.command import LaunchLine

log = logs.get(__name__)

#: Beyond the keeper's own fight with processes that do not die (keeper.END_SECONDS).
KEEPER_SECONDS = 25.0
_KEEPER = ("-s", "-P", "-m", "appliance.engine.keeper")


class Child:
    """A running keeper. This process must be a subreaper and have no other children.

    Args:
        line: vLLM's arguments and environment.
        claim_fd: descriptor of the claim's lock, which the keeper holds until its end.
        output: where vLLM's output goes; None for this process's standard error.
    """

    def __init__(self, line: LaunchLine, claim_fd: int, output: IO[bytes] | None = None) -> None:
        read_end, self._lifeline = os.pipe()
        try:
            self._keeper = subprocess.Popen(
                [line.argv[0], *_KEEPER, str(read_end), *line.argv],
                env=line.environment,
                stdin=subprocess.DEVNULL,
                stdout=output or sys.stderr.fileno(),
                stderr=output or sys.stderr.fileno(),
                pass_fds=(read_end, claim_fd),
                start_new_session=True,
                umask=UMASK,
            )
        finally:
            os.close(read_end)
        self._exited = asyncio.get_running_loop().create_future()
        self._pidfd = os.pidfd_open(self._keeper.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    @property
    def pid(self) -> int:
        """Process id of the keeper."""
        return self._keeper.pid

    @property
    def has_exited(self) -> bool:
        """Whether the keeper has ended, and with it all it kept."""
        return self._exited.done()

    async def exited(self) -> int:
        """Wait for the end; vLLM's exit status, 128 + n for signal n."""
        return int(await asyncio.shield(self._exited))

    async def stop(self, number: signal.Signals, grace_seconds: float) -> int:
        """Pass a signal on to vLLM, and end it by force after the grace; its exit status."""
        if not self.has_exited:
            self._keeper.send_signal(number)
            await asyncio.wait([self._exited], timeout=grace_seconds)
        return await self.end()

    async def end(self) -> int:
        """End every process of this run now and collect them; vLLM's exit status."""
        self.abandon()
        await asyncio.wait([self._exited], timeout=KEEPER_SECONDS)
        if not self.has_exited:
            self._keeper.kill()
        status = await self.exited()
        # The keeper leaves nothing behind unless it was killed itself: then its orphans are ours.
        left = await asyncio.to_thread(processes.end_descendants, KEEPER_SECONDS)
        if left:
            log.error("engine processes cannot be killed", count=len(left), child_pid=left[0])
        return status

    def abandon(self) -> None:
        """Let the keeper kill everything now, as if this process had died."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = self._keeper.wait()
        self._exited.set_result(status if status >= 0 else 128 - status)
