"""A small model directory for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from appliance.core.manifest import Listed, Manifest, render

LLAMA_3_TEMPLATE = "{% if tools %}Environment: ipython{% endif %}{{ messages }}"
CONFIG = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 8192}


def make(directory: Path, name="tutor", version="1.0", **files) -> Path:
    """Write a model directory; ``files`` are added, replaced (text, bytes or JSON) or left out (None)."""
    contents = {
        "config.json": CONFIG,
        "tokenizer.json": {},
        "tokenizer_config.json": {},
        "chat_template.jinja": "{{ messages }}",
        "model.safetensors": b"\x02\0\0\0\0\0\0\0{}",
        **{key.replace("__", "."): value for key, value in files.items()},
    }
    directory.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        if content is not None:
            data = (
                content if isinstance(content, bytes) else content if isinstance(content, str) else json.dumps(content)
            )
            (directory / file).write_bytes(data if isinstance(data, bytes) else data.encode())
    seal(directory, name, version)
    return directory


def seal(directory: Path, name="tutor", version="1.0") -> None:
    """Write the manifest of what is there."""
    digests = {
        path.name: Listed(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in directory.iterdir()
        if path.is_file() and path.name != "bundle.toml"
    }
    (directory / "bundle.toml").write_text(render(Manifest(name, version, files=digests)))
