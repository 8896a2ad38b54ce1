"""The model directory, read and checked before anything that could run code from it opens it.

Every file must be listed in ``bundle.toml`` with its SHA-256 and must be of a
format that holds data only; nothing may ask the loader to run code
(``auto_map``). The rules on names are in ``core.manifest``.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.core import manifest
from appliance.core.engine_arguments import EngineArguments
from appliance.core.manifest import Manifest
from appliance.errors import DigestMismatch, ModelUnusable

#: Architectures this appliance is tested with. vLLM knows many more; each enters here with its test.
ARCHITECTURES = frozenset({"LlamaForCausalLM"})


@dataclass(frozen=True)
class Model:
    """A model directory that passed every check.

    Args:
        directory: absolute, all symbolic links resolved (activation swaps a link, not a running engine's files).
        name: name it is served by.
        version: of the bundle.
        architecture: class name in ``config.json``.
        context_tokens: longest context it was made for.
        weight_bytes: size of its safetensors files.
        chat_template: the template file, or None where ``tokenizer_config.json`` holds it.
        tool_parser: vLLM's parser of its tool calls, or None where it has none.
        engine: hardware profile to what the model changes in it.
        min_host_bytes: host memory it says it needs on a CPU; 0 if it says nothing.
        min_gpu_bytes: GPU memory it says it needs; 0 if it says nothing.
    """

    directory: Path
    name: str
    version: str
    architecture: str
    context_tokens: int
    weight_bytes: int
    chat_template: Path | None
    tool_parser: str | None
    engine: Mapping[str, EngineArguments] = field(default_factory=dict)
    min_host_bytes: int = 0
    min_gpu_bytes: int = 0


def read(directory: Path, served_name: str | None = None, *, check_digests: bool = True) -> Model:
    """Check a model directory and say what it holds.

    Args:
        directory: the model directory, or a symbolic link to it.
        served_name: overrides the name in its manifest.
        check_digests: hash every file (about a second for 300 MB).

    Raises:
        ModelUnusable: it is missing or incomplete, or holds something that is refused.
        DigestMismatch: a file is not the one its manifest lists.
    """
    if not directory.is_dir():
        raise ModelUnusable(f"There is no model directory {directory}.")
    root = directory.resolve()
    listed = _manifest(root)
    _check_names(root, listed)
    for name in sorted(listed.files):
        if check_digests and _sha256(root / name) != listed.files[name].sha256:
            raise DigestMismatch(
                f"The model's file {name} is not the one its {manifest.FILE_NAME} lists.",
                remedy="Prepare or install the model again; do not use this directory.",
            )
    documents = {name: _json(root / name) for name in sorted(listed.files) if name.endswith(".json")}
    for name, document in documents.items():
        for place in manifest.code_references(document):
            raise ModelUnusable(
                f"The model's {name} asks to run code from the model ({place}), which is refused.",
                remedy="Use a model that needs no code of its own.",
            )
    config = documents.get("config.json")
    if not isinstance(config, dict):
        raise ModelUnusable("The model directory has no config.json.")
    template = _template(root, documents)
    return Model(
        directory=root,
        name=served_name or listed.name,
        version=listed.version,
        architecture=_architecture(config),
        context_tokens=_context_tokens(config),
        weight_bytes=_weight_bytes(root, listed),
        chat_template=root / manifest.TEMPLATE_NAME if manifest.TEMPLATE_NAME in listed.files else None,
        tool_parser=tool_parser(template),
        engine=listed.engine,
        min_host_bytes=listed.min_host_bytes,
        min_gpu_bytes=listed.min_gpu_bytes,
    )


def tool_parser(template: str) -> str | None:
    """Which of vLLM's parsers reads the tool calls that this chat template asks for, or None."""
    if "tools" not in template:
        return None
    if "<|python_tag|>" in template or "ipython" in template:
        return "llama3_json"  # Llama 3.1 and later
    if "<tool_call>" in template:
        return "hermes"
    return None


def _manifest(root: Path) -> Manifest:
    try:
        text = (root / manifest.FILE_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ModelUnusable(f"The model directory {root} has no readable {manifest.FILE_NAME}.") from None
    return manifest.parse(text)


def _check_names(root: Path, listed: Manifest) -> None:
    """Every file is listed and every listed file is there; no link, device or refused format."""
    found = set(_files(root)) - {manifest.FILE_NAME, manifest.SIGNATURE_NAME}
    for problem in manifest.problems(sorted(found)):
        raise ModelUnusable(
            f"The model directory holds a refused file: {problem}.",
            remedy="Use safetensors weights; a file that can carry code never belongs in a model directory.",
        )
    for name in sorted(found - set(listed.files)):
        raise ModelUnusable(f"The model directory holds a file its {manifest.FILE_NAME} does not list: {name!r}.")
    for name in sorted(set(listed.files) - found):
        raise ModelUnusable(f"The model directory lacks a file its {manifest.FILE_NAME} lists: {name}.")


def _files(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(root).as_posix()
        if not stat.S_ISREG(mode):
            raise ModelUnusable(f"The model directory holds {name!r}, which is a link or no plain file.")
        yield name


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise ModelUnusable(f"The model's file {path.name} cannot be read: {err.strerror}.") from None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelUnusable(f"The model's {path.name} is not readable JSON.") from None


def _architecture(config: dict[str, Any]) -> str:
    names = config.get("architectures")
    if not isinstance(names, list) or len(names) != 1 or names[0] not in ARCHITECTURES:
        raise ModelUnusable(
            "The model's architecture is not one this appliance serves.",
            remedy=f"Use a model of {', '.join(sorted(ARCHITECTURES))}.",
        )
    return str(names[0])


def _context_tokens(config: dict[str, Any]) -> int:
    length = config.get("max_position_embeddings")
    if not isinstance(length, int) or length < 1:
        raise ModelUnusable("The model's config.json does not say max_position_embeddings.")
    return length


def _weight_bytes(root: Path, listed: Manifest) -> int:
    weights = [name for name in listed.files if name.endswith(".safetensors")]
    if not weights:
        raise ModelUnusable("The model directory has no safetensors file.")
    return sum((root / name).stat().st_size for name in weights)


def _template(root: Path, documents: dict[str, Any]) -> str:
    try:
        return (root / manifest.TEMPLATE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError):
        raise ModelUnusable(f"The model's {manifest.TEMPLATE_NAME} cannot be read.") from None
    tokenizer = documents.get("tokenizer_config.json")
    template = tokenizer.get("chat_template") if isinstance(tokenizer, dict) else None
    if not isinstance(template, str):
        raise ModelUnusable(
            "The model has no chat template, so it cannot answer chat requests.",
            remedy=f"Add {manifest.TEMPLATE_NAME} to the bundle.",
        )
    return template
