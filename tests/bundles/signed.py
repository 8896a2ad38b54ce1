"""A signed bundle of a few KB, and a box that trusts its key."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.bundles import pack, sign, trust
from appliance.bundles.trust import Trust
from appliance.core import trusted_key
from appliance.core.engine_arguments import EngineArguments
from appliance.core.manifest import Manifest
from appliance.core.sbom import Component
from appliance.core.trusted_key import TrustedKey

NOW = 1_780_000_000.0  # 2026-05-28
FOREVER = date(9999, 12, 31)
CONFIG = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048}
GOLDEN = {
    "format": 1,
    "questions": [
        {
            "id": "carry",
            "messages": [{"role": "user", "content": "47 + 38 = 75?"}],
            "max_tokens": 8,
            "checks": [{"name": "contains", "value": "tok0"}],
        }
    ],
}


@dataclass(frozen=True)
class Key:
    """A signing key: file of the private half, PEM text of the public half."""

    private: Path
    public: str

    def trusted(self, not_after: date = FOREVER, owner: str = "Example Education") -> Trust:
        """A box's trust in this key alone."""
        public = serialization.load_pem_public_key(self.public.encode())
        assert isinstance(public, ec.EllipticCurvePublicKey)
        return Trust({trust.hint(public): TrustedKey(owner, not_after, self.public)})

    def write(self, directory: Path, not_after: date = FOREVER) -> None:
        """Put it into a box's directory of trusted keys."""
        directory.mkdir(parents=True, exist_ok=True)
        key = TrustedKey("Example Education", not_after, self.public)
        (directory / "example.toml").write_text(trusted_key.render(key))


def make_key(folder: Path, name: str = "key.pem") -> Key:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    return Key(path, sign.make_key(path))


def safetensors(data: bytes = bytes(range(64))) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


def fill(directory: Path, **files: bytes | str | dict | None) -> Path:
    """Model files; ``files`` are added, replaced or (None) left out, ``__`` standing for a dot."""
    contents: dict[str, bytes | str | dict | None] = {
        "config.json": CONFIG,
        "tokenizer.json": {"version": "1.0"},
        "tokenizer_config.json": {},
        "chat_template.jinja": "{{ messages }}",
        "golden.json": GOLDEN,
        "model.safetensors": safetensors(),
        "LICENSE": "Apache-2.0\n",
        **{name.replace("__", "."): content for name, content in files.items()},
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if content is None:
            continue
        data = json.dumps(content) if isinstance(content, dict) else content
        (directory / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return directory


def stated(name: str = "tiny-tutor", version: str = "1.0.0", **changes) -> Manifest:
    values = {
        "base": "Nobody/Tiny",
        "licence": "Apache-2.0",
        "quantization": "none",
        "recipe_sha256": "ab" * 32,
        "min_host_bytes": 1,
        "engine": {"cpu": EngineArguments(max_num_seqs=4)},
        "evaluation": {"diagnosis.accuracy": 0.5},
    }
    return Manifest(name, version, **{**values, **changes})


def seal(directory: Path, key: Key | None, **changes) -> Path:
    """Write the manifest of what is there, and sign it if there is a key."""
    pack.seal(directory, stated(**changes), [Component("machine-learning-model", "Nobody/Tiny", "1", "Apache-2.0")])
    if key is not None:
        sign.directory(directory, key.private)
    return directory


def make(directory: Path, key: Key | None, **changes) -> Path:
    """A whole bundle; ``changes`` are of its statements."""
    return seal(fill(directory), key, **changes)
