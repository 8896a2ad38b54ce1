"""What a model directory says of itself (``bundle.toml``), and which files it may hold.

A model's files are data from outside. Formats that can carry code (pickles,
Python files, ``auto_map``) are refused by an allowlist before anything opens
them: CVE-2026-22807, CVE-2026-27893, CVE-2025-32434, CVE-2026-24747.

The text form, TOML::

    format = 1

    [bundle]
    name = "smollm2-135m-tutor"
    version = "0.1.2"
    base = "HuggingFaceTB/SmolLM2-135M-Instruct"
    licence = "Apache-2.0"
    quantization = "w8a8"
    recipe_sha256 = "<64 hexadecimal digits>"
    min_host_bytes = 3500000000
    min_gpu_bytes = 0
    sbom = "sbom.cdx.json"
    golden = "golden.json"

    [engine.cpu]
    max_model_len_tokens = 2048

    [evaluation]
    "diagnosis.accuracy" = 0.934

    [files]
    "config.json" = { sha256 = "<64 hexadecimal digits>", size_bytes = 704 }

``[engine.<profile>]`` changes values of that hardware profile
(``core.engine_arguments``). All of ``[bundle]`` but name and version may be
left out of a directory that is not to be signed.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.core.engine_arguments import EngineArguments
from appliance.errors import BundleTooNew, ModelUnusable

#: File name of the manifest in a model directory. It lists every file but itself and its signature.
FILE_NAME = "bundle.toml"
#: Detached signature over every file, the manifest too; not listed in it, since it is made afterwards.
SIGNATURE_NAME = "bundle.sig"
TEMPLATE_NAME = "chat_template.jinja"
FORMAT = 1
#: Ends of file names that hold data only. Everything else is refused.
DATA_SUFFIXES = (".safetensors", ".json", ".jinja", ".toml", ".txt", ".md")
#: Files without such an end that hold text only.
TEXT_NAMES = frozenset({"LICENSE", "LICENCE", "NOTICE"})

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
# The name goes into URLs, logs and the `model` field of every answer.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,200}")
_MAX_BYTES = 2**50


@dataclass(frozen=True)
class Listed:
    """What the manifest says of one file: SHA-256 in hexadecimal, and length."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """A checked ``bundle.toml``.

    Args:
        name: served model name: letters, digits, ``._-``, at most 96 characters.
        version: of this bundle, same characters.
        base: the model it was made from, free text of one line.
        licence: SPDX expression of the weights, free text of one line.
        quantization: how the weights are stored, such as ``w8a8``; ``none`` if they are not quantized.
        recipe_sha256: digest of the recipe it was built from.
        min_host_bytes: least host memory to serve it on a CPU; 0 if it is not for CPUs.
        min_gpu_bytes: least GPU memory to serve it; 0 if it is not for GPUs.
        sbom: the file that lists the components it was made of, CycloneDX JSON.
        golden: the file of questions it must answer right before it serves.
        engine: hardware profile to what this model changes in it.
        evaluation: score's name to value.
        files: every file but this one and the signature, by POSIX path relative to the directory.
        format: version of this form; only :data:`FORMAT` is read.

    Raises:
        ModelUnusable: a value is out of its form, or a file name is refused.
        BundleTooNew: the format is of a later appliance.
    """

    name: str
    version: str
    base: str = ""
    licence: str = ""
    quantization: str = ""
    recipe_sha256: str = ""
    min_host_bytes: int = 0
    min_gpu_bytes: int = 0
    sbom: str = ""
    golden: str = ""
    engine: Mapping[str, EngineArguments] = field(default_factory=dict)
    evaluation: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Listed] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what the form does not allow, so that a Manifest in hand is a valid one."""
        _check_format(self.format)
        for label, value in (("name", self.name), ("version", self.version)):
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise _invalid(f"has a {label} that is not made of letters, digits, dot, hyphen and underscore")
        for label, value in (("base", self.base), ("licence", self.licence), ("quantization", self.quantization)):
            if not isinstance(value, str) or not _TEXT.fullmatch(value):
                raise _invalid(f"has a {label} that is not one line of at most 200 characters")
        if self.recipe_sha256 != "" and not _is_digest(self.recipe_sha256):
            raise _invalid("has a recipe_sha256 that is no SHA-256")
        for label, size in (("min_host_bytes", self.min_host_bytes), ("min_gpu_bytes", self.min_gpu_bytes)):
            if not _is_size(size):
                raise _invalid(f"has a {label} that is not a whole number of bytes")
        self._check_files()
        for name, score in self.evaluation.items():
            if not _NAME.fullmatch(name) or type(score) not in (int, float) or not math.isfinite(score):
                raise _invalid(f"has an evaluation score {name!r} that is not a name with a number")

    def _check_files(self) -> None:
        for path, listed in self.files.items():
            if not _is_digest(listed.sha256) or not _is_size(listed.size_bytes):
                raise _invalid(f"gives no SHA-256 and size_bytes for {path!r}")
        for problem in problems(self.files):
            raise _invalid(f"lists a refused file: {problem}")
        for label, named in (("sbom", self.sbom), ("golden", self.golden)):
            if not isinstance(named, str) or (named and named not in self.files):
                raise _invalid(f"names a file as {label} that it does not list")

    @property
    def directory_name(self) -> str:
        """Name of the directory it is installed in."""
        return f"{self.name}-{self.version}"

    @property
    def size_bytes(self) -> int:
        """Length of all listed files together."""
        return sum(listed.size_bytes for listed in self.files.values())

    def missing(self) -> list[str]:
        """What a signed bundle must state beyond name and version, and this one does not."""
        stated = {
            "bundle.base": self.base,
            "bundle.licence": self.licence,
            "bundle.quantization": self.quantization,
            "bundle.recipe_sha256": self.recipe_sha256,
            "bundle.sbom": self.sbom,
            "bundle.min_host_bytes or bundle.min_gpu_bytes": self.min_host_bytes or self.min_gpu_bytes,
            **{f"the file {name}": name in self.files for name in ("config.json", "tokenizer.json", TEMPLATE_NAME)},
            "a .safetensors file": any(name.endswith(".safetensors") for name in self.files),
        }
        return [name for name, value in stated.items() if not value]


def parse(text: str) -> Manifest:
    """Read the text of a ``bundle.toml``.

    Raises:
        ModelUnusable: not TOML, a missing or unknown name, or a value that is refused.
        BundleTooNew: the format is of a later appliance.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise _invalid("is not valid TOML") from None
    form = document.get("format", 0)
    _check_format(form)  # before anything else: the other names of a later one may be unknown here
    tables = {name: document.get(name, {}) for name in ("engine", "evaluation")}
    bundle, files = document.get("bundle"), document.get("files")
    if not isinstance(bundle, dict) or not isinstance(files, dict):
        raise _invalid("needs the tables [bundle] and [files]")
    if not all(isinstance(table, dict) for table in tables.values()):
        raise _invalid("has an [engine] or [evaluation] that is no table")
    unknown = sorted((set(document) - {"format", "bundle", "files", *tables}) | (set(bundle) - set(_BUNDLE_NAMES)))
    if unknown:
        raise _invalid(f"has an unknown name: {unknown[0]!r}")
    missing = sorted({"name", "version"} - set(bundle))
    if missing:
        raise _invalid(f"does not say bundle.{missing[0]}")
    return Manifest(
        format=form,
        files={path: _listed(path, entry) for path, entry in files.items()},
        engine={profile: EngineArguments.parse(profile, values) for profile, values in tables["engine"].items()},
        evaluation=tables["evaluation"],
        **bundle,
    )


def render(manifest: Manifest) -> str:
    """The text that :func:`parse` reads back to an equal manifest; the same manifest gives the same bytes."""
    lines = [f"format = {manifest.format}", "", "[bundle]"]
    for name in _BUNDLE_NAMES:
        value = getattr(manifest, name)
        if value or name in ("name", "version", "base", "licence"):
            lines.append(f"{name} = {_quoted(value)}")
    for profile in sorted(manifest.engine):
        lines += ["", f"[engine.{_quoted(profile)}]"]
        lines += [f"{name} = {_quoted(value)}" for name, value in manifest.engine[profile].stated().items()]
    if manifest.evaluation:
        lines += ["", "[evaluation]"]
        lines += [f"{_quoted(name)} = {_quoted(manifest.evaluation[name])}" for name in sorted(manifest.evaluation)]
    lines += ["", "[files]"]
    for path in sorted(manifest.files):
        listed = manifest.files[path]
        lines.append(f"{_quoted(path)} = {{ sha256 = {_quoted(listed.sha256)}, size_bytes = {listed.size_bytes} }}")
    return "\n".join(lines) + "\n"


def problems(names: Iterable[str]) -> list[str]:
    """Which of these file names a model directory may not hold, each with the reason.

    Args:
        names: POSIX paths relative to the model directory.
    """
    return [f"{name!r} {reason}" for name in names if (reason := _refusal(name))]


def code_references(document: object, path: str = "") -> Iterator[str]:
    """Places in a JSON document of a model that ask the loader to run code from the model's files.

    Args:
        document: parsed JSON (``config.json``, ``tokenizer_config.json`` …).
        path: dotted place of ``document``, empty at the root.

    Yields:
        The dotted place of each ``auto_map``, ``trust_remote_code`` or ``custom_pipelines`` at any depth.
    """
    if isinstance(document, dict):
        for name, value in document.items():
            place = f"{path}.{name}" if path else str(name)
            if name in _CODE_KEYS:
                yield place
            else:
                yield from code_references(value, place)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from code_references(value, f"{path}[{index}]")


_BUNDLE_NAMES = (
    "name",
    "version",
    "base",
    "licence",
    "quantization",
    "recipe_sha256",
    "min_host_bytes",
    "min_gpu_bytes",
    "sbom",
    "golden",
)
_CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})


def _refusal(name: str) -> str:
    parts = name.split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        return "is not a plain relative path"
    if name in (FILE_NAME, SIGNATURE_NAME):
        return "cannot list itself"
    if parts[-1] in TEXT_NAMES or name.endswith(DATA_SUFFIXES):
        return ""
    return f"is not one of the data formats {', '.join(DATA_SUFFIXES)}"


def _check_format(form: Any) -> None:
    if type(form) is int and form > FORMAT:
        raise BundleTooNew(f"The bundle is of format {form}, this appliance reads format {FORMAT}.")
    if type(form) is not int or form != FORMAT:
        raise _invalid(f"is of format {form!r}, this appliance reads format {FORMAT}")


def _listed(path: str, entry: Any) -> Listed:
    if not isinstance(entry, dict) or set(entry) != {"sha256", "size_bytes"}:
        raise _invalid(f"gives no SHA-256 and size_bytes for {path!r}")
    return Listed(**entry)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_BYTES


def _quoted(value: Any) -> str:
    # A JSON string without control characters is a TOML basic string; numbers and truth values are alike too.
    return json.dumps(value, ensure_ascii=False)


def _invalid(what: str) -> ModelUnusable:
    return ModelUnusable(f"The model's {FILE_NAME} {what}.")
