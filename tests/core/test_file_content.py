"""What files may hold, whatever their names say."""

from __future__ import annotations

import json
import pickle
import struct

import pytest

from appliance.core import file_content


def weights(header: object, data: bytes = b"", claimed: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text + data


def judge(content: bytes, name: str = "model.safetensors") -> str:
    why = file_content.refusal(name, content[: file_content.HEAD_BYTES], len(content))
    if why or not name.endswith(".safetensors"):
        return why
    return file_content.header_refusal(content[8 : 8 + (file_content.header_bytes(content) or 0)], len(content))


TWO = {
    "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    "b": {"dtype": "I8", "shape": [], "data_offsets": [8, 9]},
}


def test_real_safetensors_are_taken():
    assert judge(weights(TWO | {"__metadata__": {"format": "pt"}}, bytes(9))) == ""
    assert judge(weights({})) == ""
    assert judge(weights({"e": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}, bytes(2))) == ""


@pytest.mark.parametrize(
    "content",
    [
        weights(TWO, bytes(10)),
        weights(TWO, bytes(8)),
        weights({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, bytes(8)),
        weights({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "more": 1}}, bytes(8)),
        weights({"a": {"dtype": "OBJ", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        weights({"a": {"dtype": "I8", "shape": [-1], "data_offsets": [0, -1]}}),
        weights(TWO | {"c": {"dtype": "I8", "shape": [1], "data_offsets": [8, 9]}}, bytes(9)),
        weights(b"{not json"),
        weights(b"[]"),
        weights({}, claimed=2**40),
        weights({}, claimed=3),
        b"",
        b"1234567",
    ],
)
def test_anything_else_under_that_name_is_refused(content):
    assert judge(content) != ""


@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickle_is_refused_under_any_name(protocol):
    for name in ("model.safetensors", "config.json", "README.md"):
        assert "pickle" in judge(pickle.dumps([1], protocol), name)


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x7fELF", b"MZ\x90", b"#!/bin/sh", b"GGUF", b"\x1f\x8b\x08"])
def test_archives_and_programs_are_refused_under_any_name(start):
    assert judge(start + b"rest", "README.md") != ""


def test_text_is_taken_unless_it_is_endless():
    assert judge("한국어".encode(), "README.md") == ""
    assert file_content.refusal("a.json", b"{", file_content.MAX_TEXT_BYTES + 1) != ""
