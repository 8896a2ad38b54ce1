"""One run of the engine, from start to the last process gone, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from tests.engine.supervised_engine import alive

pytestmark = pytest.mark.process

PROGRAM = textwrap.dedent("""
    import asyncio, json, os, signal, sys, tempfile
    from appliance.engine import processes
    from appliance.engine.child import Child
    from appliance.engine.command import LaunchLine

    async def main(script, action):
        processes.become_subreaper()
        with tempfile.TemporaryFile() as lock, tempfile.TemporaryFile() as output:
            line = LaunchLine((sys.executable, "-c", script), {"PATH": os.environ["PATH"]})
            child = Child(line, lock.fileno(), output)
            if action == "kill keeper":
                while not os.fstat(output.fileno()).st_size:
                    await asyncio.sleep(0.01)
                os.kill(child.pid, signal.SIGKILL)
            elif action == "stop":
                while not os.fstat(output.fileno()).st_size:
                    await asyncio.sleep(0.01)
                await child.stop(signal.SIGTERM, 30)
            else:
                await child.exited()
            status = await child.end()
            output.seek(0)
            print(json.dumps({"status": status, "output": output.read().decode(), "left": len(os.listdir("/proc/self/fd"))}))

    asyncio.run(main(*sys.argv[1:]))
""")
SLEEPER = (
    "import os, signal, subprocess, sys, time;"
    "signal.signal(signal.SIGTERM, lambda *_: os._exit(5));"
    "p = subprocess.Popen(['setsid', 'sleep', '600']);"
    "print(os.getpid(), p.pid, flush=True); time.sleep(600)"
)


def run(script, action):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, script, action], capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("code", "status"), [("import sys; sys.exit(4)", 4), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_status_is_that_of_the_engine(code, status):
    assert run(code, "wait")["status"] == status


@pytest.mark.parametrize(("action", "status"), [("stop", 5), ("kill keeper", 137)])
def test_no_process_is_left_however_it_ends(action, status):
    result = run(SLEEPER, action)
    assert result["status"] == status
    assert not any(alive(int(pid)) for pid in result["output"].split())
