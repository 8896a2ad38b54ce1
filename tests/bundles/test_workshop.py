import importlib.util
import json
import sys

import pytest

from appliance import settings
from appliance.bundles import workshop
from appliance.errors import BuildEnvironmentMissing, BuildStageFailed, NotEnoughMemory

PROGRAM = """
import json, os, signal, sys
job = json.load(open(sys.argv[1]))
print("first line")
print(json.dumps(sorted(name for name in os.environ if "SECRET" in name)), os.environ["HF_HUB_OFFLINE"], flush=True)
if job["fault"] == "fail":
    sys.exit("no such thing")
if job["fault"] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
open(job["out"], "w").write("done")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "x")
    (tmp_path / "program.py").write_text(PROGRAM)
    # The child is started as `python -m MODULE`: a launcher stands in that puts the module's folder first.
    launcher = tmp_path / "python"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(workshop.sys, "executable", str(launcher))

    def start(fault=""):
        log = tmp_path / "log" / "stage.log"
        job = {"fault": fault, "out": str(tmp_path / "out")}
        lines = []
        workshop.run("program", job, log, settings.load(state_dir=tmp_path / "state"), lines.append)
        return log.read_text(), json.loads(log.with_suffix(".json").read_text())

    return start


def test_program_gets_its_job_and_no_secret_and_no_hub(run, tmp_path):
    log, job = run()
    assert (tmp_path / "out").read_text() == "done"
    assert "[] 1" in log
    assert job["fault"] == ""


def test_program_that_fails_is_told_with_the_place_of_its_log(run):
    with pytest.raises(BuildStageFailed) as failed:
        run("fail")
    assert "stage.log" in failed.value.remedy


def test_program_that_the_system_killed_lacked_memory(run):
    with pytest.raises(NotEnoughMemory):
        run("killed")


def test_last_line_is_what_is_followed(tmp_path):
    (tmp_path / "log").write_text("a\n10%\r20%\n\n")
    assert workshop._last_line(tmp_path / "log") == "20%"


def test_missing_build_environment_is_told_with_the_command_that_makes_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else object())
    with pytest.raises(BuildEnvironmentMissing) as missing:
        workshop.require()
    assert "peft" in missing.value.message
    assert "make build-env" in missing.value.remedy
