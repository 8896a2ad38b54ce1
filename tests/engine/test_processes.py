"""Finding and ending processes, tried in a process of its own (it becomes a subreaper)."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from appliance.engine import processes
from tests.engine.supervised_engine import alive, until


def python(code, *arguments):
    """Run code in a new interpreter; its output lines."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_daemon_that_left_its_parent_and_session_is_ended_too():
    left, pid = python("""
        import os, time
        from appliance.engine import processes
        processes.become_subreaper()
        read_end, write_end = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(write_end, str(os.getpid()).encode())
                time.sleep(600)
            os._exit(0)
        pid = int(os.read(read_end, 20))
        print(len(processes.end_descendants(20)), pid)
    """)
    assert left == "0"
    assert not alive(int(pid))


def test_stopped_process_is_ended_too():
    left, pid = python("""
        import os, signal, time
        from appliance.engine import processes
        processes.become_subreaper()
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)
        os.waitpid(pid, os.WUNTRACED)
        print(len(processes.end_descendants(20)), pid)
    """)
    assert left == "0"
    assert not alive(int(pid))


def test_shared_memory_of_the_ended_goes_with_them_and_other_segments_stay():
    ours, other_kind, theirs = python("""
        import mmap, os, time
        from appliance.engine import processes

        def segment(name):
            file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            os.ftruncate(file, 4096)
            return mmap.mmap(file, 4096)

        names = [f"/dev/shm/{kind}_appliance_test_{os.getpid()}" for kind in ("psm", "other", "psm_parent")]
        kept = segment(names[2])
        processes.become_subreaper()
        read_end, write_end = os.pipe()
        if os.fork() == 0:
            kept.close()
            mapped = [segment(name) for name in names[:2]]
            os.write(write_end, b"mapped")
            time.sleep(600)
        os.read(read_end, 6)
        assert processes.end_descendants(20) == []
        print(*(os.path.exists(name) for name in names))
        for name in names[1:]:
            os.unlink(name)
    """)
    assert (ours, other_kind, theirs) == ("False", "True", "True")


def test_process_dies_with_its_parent():
    code = textwrap.dedent("""
        import os, subprocess, sys, time
        from appliance.engine import processes
        own = os.getpid()
        child = subprocess.Popen(["sleep", "600"], preexec_fn=lambda: processes.die_with_parent(own))
        print(child.pid, flush=True)
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    until(lambda: not alive(pid), "the child gone")


def test_process_whose_parent_is_gone_already_ends_itself():
    (status,) = python("""
        import os
        from appliance.engine import processes
        pid = os.fork()
        if pid == 0:
            processes.die_with_parent(999_999_999)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert status == "137"


def test_walk_finds_children_of_children_with_odd_names(tmp_path):
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to(sys.executable)
    code = "import subprocess; subprocess.run(['sleep', '600'])"
    with subprocess.Popen([str(odd), "-c", code]) as child:
        below = until(lambda: processes.descendants(child.pid), "the grandchild")
        assert Path(f"/proc/{below[0]}/comm").read_text().strip() in {"sleep", "python", odd.name}
        assert {child.pid, *below} <= set(processes.descendants(os.getpid()))
        for pid in [child.pid, *below]:
            os.kill(pid, 9)
