"""Who each file of an image belongs to, on a small file system laid out as Debian and pip lay theirs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from appliance.core import sbom
from deploy.container import __main__ as command
from deploy.container import tree
from deploy.container.tree import Distribution, Package

STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
Description: GNU C Library
 with a second line

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
SITE = "opt/appliance/venv/lib/python3.11/site-packages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package of Debian's, a distribution of Python's, and one file that is nobody's."""
    root = tmp_path / "root"
    contents = {
        "var/lib/dpkg/status": STATUS,
        "var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib\n/lib/libc.so.6\n/usr/share/doc/libc6\n",
        "usr/lib/libc.so.6": "library",
        f"{SITE}/tool/run.py": "run",
        f"{SITE}/tool/__pycache__/run.cpython-311.pyc": "compiled",
        f"{SITE}/tool/__pycache__/other.cpython-311.pyc": "compiled from what is not there",
        f"{SITE}/tool-1.2.dist-info/METADATA": "Name: Tool\nVersion: 1.2\nLicense-Expression: MIT\n\nText: 3\n",
        f"{SITE}/tool-1.2.dist-info/RECORD": "tool/run.py,sha256=x,3\ntool-1.2.dist-info/METADATA,,\n"
        'tool-1.2.dist-info/RECORD,,\n../../../bin/tool,,\n"tool/a,b.txt",,\n',
        f"{SITE}/tool/a,b.txt": "named with a comma",
        "opt/appliance/venv/bin/tool": "script",
        "etc/passwd": "root",
        "etc/resolv.conf": "this machine's",
        "run/.containerenv": "the builder's",
        "proc/cpuinfo": "the kernel's",
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    (root / "lib").symlink_to("usr/lib")
    return root


def strangers(root: Path) -> list[str]:
    listed = tree.owned(root)
    paths = [str(file.relative_to(root)) for file in tree.files(root)]
    return [path for path in paths if not tree.belongs(path, listed)]


def test_packages_are_those_that_are_installed(root: Path) -> None:
    assert tree.packages(root) == [Package("libc6", "2.36-9+deb12u10", "amd64")]


def test_distributions_have_the_licence_that_they_state(root: Path) -> None:
    assert tree.distributions(root) == [Distribution("Tool", "1.2", "MIT")]


def test_what_a_runtime_puts_in_is_listed_without_a_digest(root: Path, tmp_path: Path) -> None:
    (tmp_path / "tool-1.2-py3-none-any.whl").write_bytes(b"wheel")
    parts = {part.name: part for part in command.components(root, [tmp_path], [])}
    assert parts["/etc/resolv.conf"].sha256 == ""
    assert parts["/etc/passwd"].sha256


def test_only_what_nobody_lists_is_nobodys(root: Path) -> None:
    assert strangers(root) == [
        "etc/passwd",
        "etc/resolv.conf",
        f"{SITE}/tool/__pycache__/other.cpython-311.pyc",
        "var/lib/dpkg/status",
    ]


def test_a_file_that_is_put_in_beside_the_packages_is_seen(root: Path) -> None:
    (root / SITE / "tool" / "spy.py").write_text("", encoding="utf-8")
    (root / SITE / "spy.pth").write_text("", encoding="utf-8")
    assert {f"{SITE}/tool/spy.py", f"{SITE}/spy.pth"} <= set(strangers(root))


def test_list_of_components_holds_packages_distributions_and_the_rest_with_digests(root: Path, tmp_path: Path) -> None:
    wheels, out = tmp_path / "wheels", root / "sbom.cdx.json"
    wheels.mkdir()
    (wheels / "tool-1.2-py3-none-any.whl").write_bytes(b"wheel")
    options = ["--variant", "cpu", "--wheels", str(wheels), "--root", str(root), "--out", str(out)]
    assert command.main([*options, "--without", str(root / "etc")]) == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    parts = {part["name"]: part for part in document["components"]}
    assert sbom.names(document)
    assert document["metadata"]["component"]["name"] == "appliance-cpu"
    assert parts["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9+deb12u10?arch=amd64"
    assert parts["Tool"]["purl"] == "pkg:pypi/tool@1.2"
    assert parts["Tool"]["hashes"][0]["content"] == hashlib.sha256(b"wheel").hexdigest()
    assert "/etc/passwd" not in parts
    assert "/sbom.cdx.json" not in parts
    before = out.read_text(encoding="utf-8")
    out.unlink()
    assert command.main([*options, "--without", str(root / "etc")]) == 0
    assert out.read_text(encoding="utf-8") == before
