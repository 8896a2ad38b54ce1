"""Reading a bundle from a directory or a packed file, without following what it says."""

from __future__ import annotations

import io
import os
import random
import tarfile

import pytest

from appliance.bundles import pack, source, verify
from appliance.errors import BundleNotFound, BundleUntrusted, ModelUnusable
from tests.bundles import signed


@pytest.fixture
def bundle(tmp_path):
    return signed.make(tmp_path / "b", signed.make_key(tmp_path))


def test_packed_file_reads_like_its_directory(bundle, tmp_path):
    packed, plain = source.find(pack.archive(bundle, tmp_path)), source.find(bundle)
    assert packed.names() == plain.names()
    for name in plain.names():
        assert packed.document(name) == plain.document(name) == (bundle / name).read_bytes()
    with packed.open("model.safetensors") as file:
        file.seek(10)
        assert file.read(20) == (bundle / "model.safetensors").read_bytes()[10:30]
        file.seek(-2, os.SEEK_END)
        assert file.read() == (bundle / "model.safetensors").read_bytes()[-2:]


def tar(path, *members):
    with tarfile.open(path, "w") as file:
        for member in members:
            file.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def member(name="a.json", kind=tarfile.REGTYPE, **values):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in values.items():
        setattr(made, field, value)
    return made


@pytest.mark.parametrize(
    "members",
    [
        [member(kind=tarfile.SYMTYPE, linkname="/etc/passwd")],
        [member(kind=tarfile.LNKTYPE, linkname="b.json")],
        [member(kind=tarfile.DIRTYPE)],
        [member(kind=tarfile.FIFOTYPE)],
        [member(kind=tarfile.CHRTYPE)],
        [member(), member()],
    ],
)
def test_member_that_is_no_plain_file_or_there_twice_is_refused(tmp_path, members):
    with pytest.raises(ModelUnusable):
        source.find(tar(tmp_path / "x.bundle", *members))


def test_file_that_is_no_tar_or_cut_off_is_refused(bundle, tmp_path):
    (tmp_path / "x.bundle").write_bytes(b"nonsense" * 200)
    with pytest.raises(ModelUnusable, match="no packed bundle"):
        source.find(tmp_path / "x.bundle")
    packed = pack.archive(bundle, tmp_path / "y.bundle")
    for length in (packed.stat().st_size - 1, packed.stat().st_size - 12_000):
        os.truncate(packed, length)
        with pytest.raises(ModelUnusable, match="cut off"):
            source.find(packed)


def test_thousand_random_single_byte_changes_of_the_packed_file_are_all_refused(tmp_path):
    key, chance = signed.make_key(tmp_path), random.Random(7)
    packed = pack.archive(signed.make(tmp_path / "b", key), tmp_path)
    before, trust = packed.read_bytes(), key.trusted()
    assert verify.files(source.PackedSource(packed), trust, signed.NOW)
    for _ in range(1000):
        changed = bytearray(before)
        changed[chance.randrange(len(before))] ^= chance.randrange(1, 256)
        packed.write_bytes(changed)
        with pytest.raises((BundleUntrusted, ModelUnusable)):
            verify.files(source.PackedSource(packed), trust, signed.NOW)


def test_long_names_and_weights_of_any_length_are_packed_and_found(tmp_path):
    name = "/".join(["a" * 90] * 3) + ".json"
    bundle = signed.fill(tmp_path / "b", model__safetensors=signed.safetensors(bytes(1000)))
    (bundle / name).parent.mkdir(parents=True)
    (bundle / name).write_text("{}")
    packed = pack.archive(signed.seal(bundle, signed.make_key(tmp_path)), tmp_path)
    assert source.find(packed).document(name) == b"{}"


def test_missing_and_odd_files_say_so(bundle, tmp_path):
    for one in (source.find(bundle), source.find(pack.archive(bundle, tmp_path))):
        with pytest.raises(BundleUntrusted, match="has no nothing"):
            one.open("nothing")
    (bundle / "link.json").symlink_to("config.json")
    os.mkfifo(bundle / "pipe.json")
    for name in ("link.json", "pipe.json"):
        with pytest.raises(ModelUnusable):
            source.find(bundle).open(name)


def test_path_with_no_or_with_several_bundles_says_so(bundle, tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BundleNotFound):
            source.find(path)
    for name in ("a.bundle", "b.bundle"):
        pack.archive(bundle, tmp_path / name)
    with pytest.raises(BundleNotFound, match=r"a\.bundle, b\.bundle"):
        source.find(tmp_path)
