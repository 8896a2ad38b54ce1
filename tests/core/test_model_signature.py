"""The form of a bundle's signature: one spelling, and a statement that does not contradict itself."""

from __future__ import annotations

import json

import pytest

from appliance.core import model_signature
from appliance.core.model_signature import Envelope
from appliance.errors import BundleUntrusted

FILES = {"config.json": "ab" * 32, "sub/a.txt": "cd" * 32, "sub-b.txt": "ef" * 32}
ENVELOPE = Envelope("12" * 32, model_signature.statement("tiny", FILES), b"\x30\x44signature")


def test_what_is_rendered_reads_back_equal():
    assert model_signature.parse(model_signature.render(ENVELOPE)) == ENVELOPE
    assert model_signature.digests(ENVELOPE.payload) == FILES


def test_files_come_in_the_order_of_their_path_parts_as_the_openssf_tool_sorts_them():
    named = [entry["name"] for entry in json.loads(ENVELOPE.payload)["predicate"]["resources"]]
    assert named == ["config.json", "sub/a.txt", "sub-b.txt"]


def test_signed_bytes_are_those_of_the_dsse_specification():
    assert model_signature.signed_bytes(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + "\n",
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace("v0.3", "v0.4"),
        lambda text: text.replace('"keyid":""', '"keyid":"x"'),
        lambda text: text.replace('"tlogEntries":[]', '"tlogEntries":[1]'),
        lambda text: text.replace("{", '{"extra":1,', 1),
        lambda _: "",
        lambda _: "[]",
        lambda _: '{"verificationMaterial":{"publicKey":{"hint":3}}}',
        lambda _: "[" * 100_000,
    ],
)
def test_any_other_spelling_is_refused(spoil):
    with pytest.raises(BundleUntrusted):
        model_signature.parse(spoil(model_signature.render(ENVELOPE)))


def test_base64_with_stray_bits_is_refused():
    text = model_signature.render(Envelope("12" * 32, b"x", b"y"))
    assert '"eA=="' in text
    with pytest.raises(BundleUntrusted):
        model_signature.parse(text.replace('"eA=="', '"eB=="'))


def changed(**changes):
    document = json.loads(ENVELOPE.payload)
    document.update(changes)
    return document


def predicate(**changes):
    return changed(predicate=changed()["predicate"] | changes)


RESOURCES = changed()["predicate"]["resources"]


@pytest.mark.parametrize(
    "document",
    [
        changed(_type="other"),
        changed(predicateType="https://model_signing/Digests/v0.1"),
        changed(subject=[]),
        changed(subject=[{"name": "x", "digest": {"sha256": "00" * 32}}]),
        predicate(serialization={"method": "shards", "hash_type": "sha256"}),
        predicate(
            serialization={"method": "files", "hash_type": "sha256", "ignore_paths": ["bundle.sig", "config.json"]}
        ),
        predicate(resources=[*RESOURCES, RESOURCES[0]]),
        predicate(resources=[RESOURCES[0] | {"algorithm": "blake3"}, *RESOURCES[1:]]),
        predicate(resources=[{"name": "a", "algorithm": "sha256", "digest": "zz"}]),
        predicate(resources=3),
        [],
    ],
)
def test_statement_of_another_kind_or_that_contradicts_itself_is_refused(document):
    with pytest.raises(BundleUntrusted):
        model_signature.digests(json.dumps(document).encode())
