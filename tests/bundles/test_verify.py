"""What a box takes for a bundle, and everything it does not."""

from __future__ import annotations

import io
import json
import pickle
import random
import shutil
import zipfile
from datetime import date
from pathlib import Path

import pytest

from appliance.bundles import digests, verify
from appliance.bundles.trust import Trust
from appliance.core import manifest, model_signature
from appliance.errors import BundleNotFound, BundleTooNew, BundleUntrusted, ModelUnusable
from tests.bundles import signed
from tests.bundles.signed import NOW

FORMAT_1 = Path(__file__).parents[1] / "goldens" / "bundles" / "format-1"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return signed.make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bundle(tmp_path, key):
    return signed.make(tmp_path / "bundle", key)


def check(bundle, key, now=NOW):
    return verify.directory(bundle, key.trusted(), now)


def test_whole_bundle_of_a_trusted_key_is_taken(bundle, key):
    seen = []
    verified = verify.directory(bundle, key.trusted(), NOW, report=lambda done, total: seen.append((done, total)))
    assert verified.manifest.name == "tiny-tutor"
    assert verified.key.owner == "Example Education"
    assert seen[-1][0] <= seen[-1][1]
    assert seen == sorted(seen)


def test_thousand_random_single_byte_changes_are_all_refused(bundle, key):
    chance = random.Random(20260528)
    trust = key.trusted()
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    # The documents and each file get their share, not only the longest.
    touched = set()
    for number in range(1000):
        path = files[number % len(files)]
        before = path.read_bytes()
        position = chance.randrange(len(before))
        changed = bytearray(before)
        changed[position] ^= chance.randrange(1, 256)
        path.write_bytes(changed)
        with pytest.raises((BundleUntrusted, ModelUnusable)):
            verify.directory(bundle, trust, NOW)
        path.write_bytes(before)
        touched.add(path.name)
    assert {"bundle.toml", "bundle.sig", "model.safetensors"} <= touched
    assert verify.directory(bundle, trust, NOW)


def test_every_byte_of_the_signature_matters(bundle, key):
    trust, path = key.trusted(), bundle / manifest.SIGNATURE_NAME
    before = path.read_bytes()
    for position in range(len(before)):
        path.write_bytes(before[:position] + bytes([before[position] ^ 1]) + before[position + 1 :])
        with pytest.raises(BundleUntrusted):
            verify.read_signed(path.read_bytes(), (bundle / manifest.FILE_NAME).read_bytes(), trust, NOW)
    for odd in (before + b"\n", b" " + before, before[:-1]):
        with pytest.raises(BundleUntrusted):
            verify.read_signed(odd, (bundle / manifest.FILE_NAME).read_bytes(), trust, NOW)


@pytest.mark.parametrize("name", ["added.json", "sub/added.json", "NOTICE"])
def test_added_file_is_refused(bundle, key, name):
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("{}")
    with pytest.raises(BundleUntrusted, match="was not signed"):
        check(bundle, key)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "bundle.toml", "bundle.sig", "sbom.cdx.json"])
def test_missing_file_is_refused(bundle, key, name):
    (bundle / name).unlink()
    with pytest.raises(BundleUntrusted):
        check(bundle, key)


@pytest.mark.parametrize("target", ["/etc/hostname", "config.json", "../bundle/config.json"])
def test_any_link_is_refused(bundle, key, target):
    path = bundle / "tokenizer.json"
    path.unlink()
    path.symlink_to(target)
    with pytest.raises(ModelUnusable, match="link"):
        check(bundle, key)


def test_linked_directory_within_is_refused(bundle, key, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (bundle / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelUnusable, match="link"):
        check(bundle, key)


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin", "a.pt", "a.pkl", "sub/x.py", ".x.json", "run.so"])
def test_file_that_can_carry_code_is_refused_by_name(bundle, key, name):
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("")
    with pytest.raises(ModelUnusable, match="refused file"):
        check(bundle, key)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", b"")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [pickle.dumps({"w": 1}, protocol) for protocol in range(2, 6)] + [zipped(), b"\x7fELF", b"GGUF....", b"", b"short"],
)
def test_other_content_under_a_safetensors_name_is_refused_even_if_signed(tmp_path, key, content):
    bundle = signed.seal(signed.fill(tmp_path / "b", model__safetensors=content), key)
    with pytest.raises(ModelUnusable, match=r"model\.safetensors"):
        check(bundle, key)


def test_pickle_of_protocol_0_is_no_json_either(tmp_path, key):
    bundle = signed.seal(signed.fill(tmp_path / "b", generation_config__json=pickle.dumps({"a": 1}, 0)), key)
    with pytest.raises(ModelUnusable, match="not JSON"):
        check(bundle, key)


@pytest.mark.parametrize("file", ["config__json", "tokenizer_config__json"])
def test_reference_to_code_is_refused_even_if_signed(tmp_path, key, file):
    document = signed.CONFIG | {"deep": [{"auto_map": {"AutoModel": "evil.Model"}}]}
    bundle = signed.seal(signed.fill(tmp_path / "b", **{file: document}), key)
    with pytest.raises(ModelUnusable, match="auto_map"):
        check(bundle, key)


def test_unknown_key_is_refused(bundle, tmp_path):
    with pytest.raises(BundleUntrusted, match="does not trust"):
        check(bundle, signed.make_key(tmp_path / "other"))
    with pytest.raises(BundleUntrusted, match="does not trust"):
        verify.directory(bundle, Trust({}), NOW)


def test_signature_of_another_key_under_a_trusted_hint_is_refused(bundle, key, tmp_path):
    path = bundle / manifest.SIGNATURE_NAME
    good = model_signature.parse(path.read_text())
    signed.sign.directory(bundle, signed.make_key(tmp_path / "other").private)
    bad = model_signature.parse(path.read_text())
    path.write_text(model_signature.render(model_signature.Envelope(good.hint, bad.payload, bad.signature)))
    with pytest.raises(BundleUntrusted, match="does not fit"):
        check(bundle, key)


def test_expired_key_is_refused_from_the_day_after_its_last(bundle, key):
    trust = key.trusted(not_after=date(2026, 5, 28))  # NOW is on that day
    assert verify.directory(bundle, trust, NOW)
    with pytest.raises(BundleUntrusted, match="expired on 2026-05-28"):
        verify.directory(bundle, trust, NOW + 86_400)
    assert verify.directory(bundle, trust, None), "what is installed goes on serving"


def test_format_of_the_future_is_refused_as_such(bundle, key):
    path = bundle / manifest.FILE_NAME
    path.write_text(path.read_text().replace("format = 1", "format = 2\nnew = true"))
    resign(bundle, key)
    with pytest.raises(BundleTooNew, match="format 2"):
        check(bundle, key)


def test_manifest_that_lists_other_digests_than_the_signature_is_refused(bundle, key):
    path = bundle / manifest.FILE_NAME
    path.write_text(path.read_text().replace(digests.of_file(bundle / "LICENSE"), "0" * 64))
    resign(bundle, key)
    with pytest.raises(BundleUntrusted, match="other files"):
        check(bundle, key)


@pytest.mark.parametrize("changes", [{"licence": ""}, {"recipe_sha256": ""}, {"min_host_bytes": 0}])
def test_bundle_that_does_not_state_all_it_must_is_refused(bundle, key, changes):
    stated = digests.read_manifest(bundle)
    (bundle / manifest.FILE_NAME).write_text(
        manifest.render(signed.stated(**changes, files=stated.files, sbom=stated.sbom))
    )
    resign(bundle, key)
    with pytest.raises(ModelUnusable, match="missing"):
        check(bundle, key)


def test_golden_question_with_an_unknown_check_is_refused_before_it_is_installed(tmp_path, key):
    questions = json.loads(json.dumps(signed.GOLDEN))
    questions["questions"][0]["checks"][0]["name"] = "of_the_future"
    bundle = signed.seal(signed.fill(tmp_path / "b", golden__json=questions), key)
    with pytest.raises(ModelUnusable, match="of_the_future"):
        check(bundle, key)
    assert verify.directory(bundle, key.trusted(), NOW, checks=frozenset({"of_the_future"}))


@pytest.mark.parametrize("what", ["[" * 50_000 + "]" * 50_000, '{"a":' * 50_000 + "1" + "}" * 50_000])
def test_nesting_that_exhausts_the_parser_is_refused(tmp_path, key, what):
    bundle = signed.seal(signed.fill(tmp_path / "b", generation_config__json=what), key)
    with pytest.raises(ModelUnusable, match="generation_config"):
        check(bundle, key)


def test_stick_that_cannot_be_read_is_a_message(bundle, key, monkeypatch):
    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(verify, "_examine", fails)
    with pytest.raises(ModelUnusable, match="Input/output error"):
        check(bundle, key)


def test_directory_that_is_not_there_says_so(tmp_path, key):
    with pytest.raises(BundleNotFound):
        check(tmp_path / "nothing", key)


def test_more_files_than_any_model_has_are_refused(bundle, key, monkeypatch):
    monkeypatch.setattr(verify, "MAX_FILES", 5)
    with pytest.raises(ModelUnusable, match="more than 5"):
        check(bundle, key)


def test_bundle_of_format_1_verifies_for_ever():
    trust = Trust.read(FORMAT_1 / "trust")
    verified = verify.directory(FORMAT_1 / "bundle", trust, NOW)
    assert (verified.manifest.format, verified.manifest.name) == (1, "tiny-tutor")
    assert verify.directory(FORMAT_1 / "bundle", trust, 250_000_000_000.0), (
        "its key does not expire before the year 9999"
    )


def test_bundle_signed_by_model_signing_itself_is_taken(tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(FORMAT_1 / "bundle", copy)
    shutil.copyfile(FORMAT_1 / "signed-by-model-signing.sig", copy / manifest.SIGNATURE_NAME)
    assert verify.directory(copy, Trust.read(FORMAT_1 / "trust"), NOW)


def test_model_signing_itself_takes_our_signature(bundle, key, tmp_path):
    """With the OpenSSF's own tool, where it is installed (the `build` extra)."""
    model_signing = pytest.importorskip("model_signing", reason="the OpenSSF's tool is in the build environment")
    public = tmp_path / "public.pem"
    public.write_text(key.public)
    verifier = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    verifier.verify(bundle, bundle / manifest.SIGNATURE_NAME)
    (bundle / "LICENSE").write_text("changed")
    with pytest.raises(ValueError, match="LICENSE"):
        verifier.verify(bundle, bundle / manifest.SIGNATURE_NAME)


def resign(bundle, key):
    """Sign whatever is there, also what our own signer would not."""
    files = {name: listed.sha256 for name, listed in digests.of_directory(bundle).items() if name != "bundle.sig"}
    files[manifest.FILE_NAME] = digests.of_file(bundle / manifest.FILE_NAME)
    private = signed.sign.read_key(key.private)
    payload = model_signature.statement("x", files)
    made = private.sign(model_signature.signed_bytes(payload), signed.ec.ECDSA(signed.trust.CURVES["secp256r1"]))
    envelope = model_signature.Envelope(signed.trust.hint(private.public_key()), payload, made)
    (bundle / manifest.SIGNATURE_NAME).write_text(model_signature.render(envelope))
