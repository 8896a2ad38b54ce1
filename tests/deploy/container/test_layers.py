"""Reading a finished image's layers, from an OCI directory made here."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from deploy.container import layers


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        folder = tarfile.TarInfo("./opt/")
        folder.type, folder.uid, folder.mode = tarfile.DIRTYPE, 10001, 0o700
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(f"./opt/{name.replace('__', '.')}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def image(tmp_path: Path) -> layers.Image:
    """Two layers, one compressed; the upper one replaces a file and takes one away."""
    lower = archive(kept=b"below", replaced=b"old", gone=b"x")
    upper = gzip.compress(archive(replaced=b"new", __wh__gone=b""))
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def store(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    history = [{"created_by": "FROM"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "COPY"}]
    config = store(json.dumps({"history": history}).encode())
    manifest = store(json.dumps({"config": config, "layers": [store(lower), store(upper)]}).encode())
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [manifest]}), encoding="ascii")
    return layers.read(tmp_path)


def test_layers_come_lowest_first_with_what_made_them(image: layers.Image) -> None:
    assert [layer.made_by for layer in image.layers] == ["FROM", "COPY"]
    assert image.compressed_bytes == sum(layer.blob.stat().st_size for layer in image.layers)


def test_entries_have_their_owner_and_leave_out_what_only_takes_away(image: layers.Image) -> None:
    lower, upper = (list(layer.entries()) for layer in image.layers)
    assert [(entry.path, entry.is_file) for entry in lower] == [
        ("opt", False),
        ("opt/kept", True),
        ("opt/replaced", True),
        ("opt/gone", True),
    ]
    assert (lower[0].owner, lower[0].mode) == ((10001, 0), 0o700)
    assert [entry.path for entry in upper] == ["opt", "opt/replaced"]


def test_the_topmost_layer_has_the_last_word(image: layers.Image) -> None:
    assert image.read("opt/replaced") == b"new"
    assert image.read("opt/kept") == b"below"
    with pytest.raises(FileNotFoundError):
        image.read("opt/never")
