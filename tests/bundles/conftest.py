"""A tiny model in a tiny wheel, and stand-ins for the three programs that bundles start."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance import settings
from appliance.bundles.prepare import Programs
from appliance.core.recipe import Pinned, Recipe
from appliance.settings import Settings

GGUF = b"GGUF tiny weights " * 1000
SAFETENSORS = b"tiny safetensors"

#: Fakes pip: copies `source` into --dest as pip would, with its progress lines; the rest is the fault to show.
PIP = """
import os, pathlib, sys, time
source, fault = sys.argv[1:3]
options = dict(word.partition("=")[::2] for word in sys.argv[3:])
(pathlib.Path(source).parent / "pip-calls").open("a").write(" ".join(sys.argv[3:]) + "\\n")
requirements = pathlib.Path(options["--requirement"]).read_text()
(pathlib.Path(source).parent / "requirements").write_text(requirements)
(pathlib.Path(source).parent / "pip-pid").write_text(str(os.getpid()))
content = pathlib.Path(source).read_bytes()
target = pathlib.Path(options["--dest"]) / pathlib.Path(source).name
print(f"Progress 0 of {len(content)}", flush=True)
if fault == "no network":
    sys.exit("NewConnectionError: Failed to establish a new connection")
if fault == "nothing":
    sys.exit(0)
if fault == "hang":
    target.write_bytes(content[:10])
    print(f"Progress 10 of {len(content)}", flush=True)
    time.sleep(600)
target.write_bytes(content if fault != "other file" else content[::-1])
print(f"Progress {len(content)} of {len(content)}", flush=True)
"""

#: Fakes the converter: writes what transformers would; the rest is the fault to show.
CONVERTER = """
import os, pathlib, signal, sys, time
fault, source, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
assert source.read_bytes().startswith(b"GGUF")
assert os.environ["HF_HUB_OFFLINE"] == os.environ["TRANSFORMERS_OFFLINE"] == "1"
assert "SECRET_OF_THE_PARENT" not in os.environ
print("talk")
for name in ("chat_template.jinja", "config.json", "tokenizer.json"):
    (target / name).write_text("{}")
if fault == "fail":
    sys.exit(3)
if fault == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if fault == "hang":
    (target / "started").write_text(str(os.getpid()))
    time.sleep(600)
if fault == "code":
    (target / "modeling.py").write_text("")
if fault != "incomplete":
    (target / "model.safetensors").write_bytes(b"tiny safetensors" if fault != "other weights" else b"TINY safetensors")
"""

#: Fakes the assembler: the base's files with weights of one tensor, and the adapter's name in the configuration.
ASSEMBLER = """
import json, pathlib, shutil, struct, sys
fault, base, *adapter, target = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
if fault == "fail":
    sys.exit(3)
for name in ("chat_template.jinja", "tokenizer.json"):
    shutil.copyfile(base / name, target / name)
said = [path.joinpath("adapter_model.safetensors").read_text() for path in adapter]
(target / "config.json").write_text(json.dumps({"adapters": said}))
header = json.dumps({"w": {"dtype": "I8", "shape": [4], "data_offsets": [0, 4]}}).encode()
(target / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
"""

RECIPE = """
name = "tiny-tutor"
version = "1.0"

[base]
title = "Tiny"
licence = "Apache-2.0"

[quantize.w8a8]
scheme = "W8A8"
min_host_bytes = 1000
"""


@dataclass(frozen=True)
class Shop:
    """What one test works with."""

    recipe: Recipe
    tree: Settings
    published: Path
    folder: Path

    @property
    def cache(self) -> Path:
        return self.tree.state_dir / "cache"

    def names(self, directory: Path) -> set[str]:
        return {path.name for path in directory.iterdir()}

    def pip(self, fault: str = "") -> list[str]:
        return [sys.executable, "-c", PIP, str(self.published), fault]

    def pip_calls(self) -> int:
        calls = self.published.parent / "pip-calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def converter(self, fault: str = "") -> list[str]:
        return [sys.executable, "-c", CONVERTER, fault]

    def programs(self, fault: str = "") -> Programs:
        assembler = [sys.executable, "-c", ASSEMBLER, "fail" if fault == "fail late" else ""]
        return Programs(self.converter(fault), assembler)

    def gguf(self) -> Path:
        path = self.tree.state_dir / "tiny.gguf"
        path.write_bytes(GGUF)
        return path


def pinned(path: str, content: bytes) -> Pinned:
    return Pinned(path, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def shop(state_dir: Path, tmp_path: Path) -> Shop:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tiny/__init__.py", "raise SystemExit('the package must never run')")
        archive.writestr("tiny/tiny.gguf", GGUF)
    published = tmp_path / "tiny-1.0-py3-none-any.whl"
    published.write_bytes(buffer.getvalue())
    recipe = Recipe(
        name="tiny-tutor",
        version="1.0",
        base="Tiny",
        licence="Apache-2.0",
        package="tiny",
        package_version="1.0",
        wheel=pinned(published.name, buffer.getvalue()),
        weights=pinned("tiny/tiny.gguf", GGUF),
        converted=pinned("model.safetensors", SAFETENSORS),
    )
    folder = tmp_path / "models"
    (folder / recipe.name).mkdir(parents=True)
    (folder / recipe.name / "recipe.toml").write_text(RECIPE)
    return Shop(recipe, settings.load(state_dir=state_dir), published, folder)
