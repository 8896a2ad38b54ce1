"""What a model's files may hold, whatever their names say.

A pickle renamed to ``model.safetensors`` is still a pickle, and whoever opens
it runs what it says. So each file is judged by its first bytes, and weights by
their whole header: CVE-2025-32434, CVE-2026-24747.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

#: As many first bytes as :func:`refusal` looks at.
HEAD_BYTES = 16
#: Documents and texts are read whole; the tokenizer of a large Llama has 17 MB.
MAX_TEXT_BYTES = 128 * 2**20
#: The same bound as in the safetensors library.
MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
_PICKLE_PROTOCOLS = range(2, 6)
_MAGIC = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes it"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy file, which may hold a pickle"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x89HDF", "an HDF5 file"),
)
#: Bits of one element, by safetensors' name of its type.
_ELEMENT_BITS = {
    "F4": 4,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
}


def refusal(name: str, head: bytes, size_bytes: int) -> str:
    """Why a file is refused for its first bytes, as a phrase after its name; empty if it is not.

    Args:
        name: POSIX path in the bundle.
        head: its first :data:`HEAD_BYTES` bytes, or all of a shorter one.
        size_bytes: its length.
    """
    if head[:1] == b"\x80" and len(head) > 1 and head[1] in _PICKLE_PROTOCOLS:
        return "is a pickle, which runs code when it is opened"
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return f"is {what}"
    if not name.endswith(".safetensors"):
        return "is longer than any text of a model" if size_bytes > MAX_TEXT_BYTES else ""
    length = header_bytes(head)
    if length is None or length > min(MAX_HEADER_BYTES, size_bytes - _LENGTH_BYTES) or head[8:9] != b"{":
        return "is not in the safetensors format"
    return ""


def header_bytes(head: bytes) -> int | None:
    """Length of a safetensors file's JSON header, which follows the 8 bytes that hold it; None if it is too short."""
    return int.from_bytes(head[:_LENGTH_BYTES], "little") if len(head) >= _LENGTH_BYTES else None


def header_refusal(header: bytes, size_bytes: int) -> str:
    """Why the header of a safetensors file is refused, as a phrase after its name; empty if it is not.

    Every byte of the data must belong to exactly one tensor, and be as long as
    its type and shape say: no room for anything else.

    Args:
        header: the JSON text.
        size_bytes: length of the whole file.
    """
    try:
        document = json.loads(header)
        spans = sorted(_span(entry) for name, entry in document.items() if name != "__metadata__")
    except (AttributeError, ValueError, KeyError, TypeError, RecursionError):
        return "has a header that is not safetensors'"
    end = size_bytes - _LENGTH_BYTES - len(header)
    bounds = [(0, 0), *spans, (end, end)]
    if any(before[1] != after[0] for before, after in pairwise(bounds)):
        return "holds bytes that belong to no tensor, or to two"
    return ""


def _span(entry: Any) -> tuple[int, int]:
    start, end = entry["data_offsets"]
    elements = 1
    for length in entry["shape"]:
        if type(length) is not int or length < 0:
            raise ValueError
        elements *= length
    if type(start) is not int or type(end) is not int or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError
    if elements * _ELEMENT_BITS[entry["dtype"]] != (end - start) * 8:
        raise ValueError
    return start, end
