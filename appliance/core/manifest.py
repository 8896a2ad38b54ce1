"""What a model directory says of itself (``bundle.toml``), and which files it may hold.

A model's files are data from outside. Formats that can carry code (pickles,
Python files, ``auto_map``) are refused by an allowlist before anything opens
them: CVE-2026-22807, CVE-2026-27893, CVE-2025-32434, CVE-2026-24747.

The text form, TOML::

    format = 1

    [bundle]
    name = "smollm2-135m-instruct"
    version = "0.1.2"
    base = "HuggingFaceTB/SmolLM2-135M-Instruct"
    licence = "Apache-2.0"

    [files]
    "config.json" = "<sha256, 64 hexadecimal digits>"
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import ModelUnusable

#: File name of the manifest in a model directory. It lists every file but itself and its signature.
FILE_NAME = "bundle.toml"
#: Detached signature of the manifest; not listed in it, since it is made afterwards.
SIGNATURE_NAME = "bundle.sig"
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


@dataclass(frozen=True)
class Manifest:
    """A checked ``bundle.toml``.

    Args:
        name: served model name: letters, digits, ``._-``, at most 96 characters.
        version: of this bundle, same characters.
        base: the model it was made from, free text of one line.
        licence: SPDX expression of the weights, free text of one line.
        files: SHA-256 in hexadecimal of every file, by POSIX path relative to the directory.
        format: version of this form; only :data:`FORMAT` is read.

    Raises:
        ModelUnusable: a value is out of its form, or a file name is refused.
    """

    name: str
    version: str
    base: str = ""
    licence: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what the form does not allow, so that a Manifest in hand is a valid one."""
        if type(self.format) is not int or self.format != FORMAT:
            raise _invalid(f"is of format {self.format!r}, this appliance reads format {FORMAT}")
        for label, value in (("name", self.name), ("version", self.version)):
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise _invalid(f"has a {label} that is not made of letters, digits, dot, hyphen and underscore")
        for label, value in (("base", self.base), ("licence", self.licence)):
            if not isinstance(value, str) or not _TEXT.fullmatch(value):
                raise _invalid(f"has a {label} that is not one line of at most 200 characters")
        for path, digest in self.files.items():
            if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
                raise _invalid(f"gives no SHA-256 for {path!r}")
        for problem in problems(self.files):
            raise _invalid(f"lists a refused file: {problem}")


def parse(text: str) -> Manifest:
    """Read the text of a ``bundle.toml``.

    Raises:
        ModelUnusable: not TOML, a missing or unknown name, or a value that is refused.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise _invalid("is not valid TOML") from None
    bundle, files = document.get("bundle"), document.get("files")
    if not isinstance(bundle, dict) or not isinstance(files, dict):
        raise _invalid("needs the tables [bundle] and [files]")
    unknown = sorted((set(document) - {"format", "bundle", "files"}) | (set(bundle) - _BUNDLE_NAMES))
    if unknown:
        raise _invalid(f"has an unknown name: {unknown[0]!r}")
    missing = sorted({"name", "version"} - set(bundle))
    if missing:
        raise _invalid(f"does not say bundle.{missing[0]}")
    return Manifest(format=document.get("format", 0), files=files, **bundle)


def render(manifest: Manifest) -> str:
    """The text that :func:`parse` reads back to an equal manifest; files sorted by name."""
    lines = [f"format = {manifest.format}", "", "[bundle]"]
    lines += [f"{name} = {_quoted(getattr(manifest, name))}" for name in ("name", "version", "base", "licence")]
    lines += ["", "[files]"]
    lines += [f"{_quoted(path)} = {_quoted(manifest.files[path])}" for path in sorted(manifest.files)]
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


_BUNDLE_NAMES = frozenset({"name", "version", "base", "licence"})
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


def _quoted(text: Any) -> str:
    # A JSON string without control characters is a TOML basic string.
    return json.dumps(text, ensure_ascii=False)


def _invalid(what: str) -> ModelUnusable:
    return ModelUnusable(f"The model's {FILE_NAME} {what}.")
