#!/usr/bin/python3
"""Ansible module: holds an offline kit against its signature, with what every Debian has: Python and openssl."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
module: kit_check
short_description: Hold an offline kit against its signature
description:
  - Fails unless every file of the kit is as C(SHA256SUMS) lists it, nothing was added, and that list is signed.
  - Changes nothing.
options:
  directory:
    description: The kit's directory on the host.
    type: path
    required: true
  public_key:
    description: The PEM text of the key that must have signed it.
    type: str
    required: true
author: The appliance's maintainers
"""
EXAMPLES = r"""
- name: Refuse a changed kit
  kit_check:
    directory: /opt/appliance/kit
    public_key: "{{ lookup('ansible.builtin.file', 'kit-key.pem') }}"
"""
RETURN = r"""
kit:
  description: What kit.toml states, C(id), the first digits of the SHA-256 of SHA256SUMS, and C(repositories), the
    directories of Debian packages.
  type: dict
  returned: success
"""

SUMS, SIGNATURE, STATED = "SHA256SUMS", "SHA256SUMS.sig", "kit.toml"
FORMAT = 1
REPOSITORIES = ("debs", "nvidia", "extra")
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\\\n]+)")


class Refused(Exception):
    """The kit is not taken; the text is a sentence why and one what to do."""


def check(directory: Path, public_key: str) -> dict[str, Any]:
    """What a good kit states.

    Raises:
        Refused: the first thing that is wrong.
    """
    if not (directory / SUMS).is_file():
        raise Refused(
            f"There is no kit in {directory}. Copy the kit's directory there, or name its place: appliance_kit_dir."
        )
    _require_signature(directory, public_key)
    stated = _listed((directory / SUMS).read_text(encoding="utf-8"))
    there = _files(directory)
    for name in sorted(stated.keys() | there):
        if name not in there:
            raise Refused(f"The kit lacks {name}. Copy it again.")
        if name not in stated:
            raise Refused(f"The kit holds a file that was not signed: {name}. Remove it, or copy the kit again.")
        if _sha256(directory / name) != stated[name]:
            raise Refused(f"The kit holds a changed {name}. Do not use it; copy it again from its maker.")
    kit = tomllib.loads((directory / STATED).read_text(encoding="utf-8"))
    if kit.get("format") != FORMAT:
        raise Refused(
            f"The kit is of format {kit.get('format')}, this playbook takes {FORMAT}. Use the playbook in the kit."
        )
    repositories = [name for name in REPOSITORIES if f"{name}/Packages" in stated]
    return {**kit, "id": f"{kit['version']}-{_sha256(directory / SUMS)[:12]}", "repositories": repositories}


def _require_signature(directory: Path, public_key: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
        key.write(public_key + "\n")
        key.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", key.name]
        try:
            done = subprocess.run(
                [*command, "-signature", str(directory / SIGNATURE), str(directory / SUMS)],
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise Refused("openssl is missing. Install the Debian package openssl from the system's medium.") from None
    if done.returncode:
        raise Refused("The kit is not signed with the key of appliance_kit_key_file. Do not use it; ask its maker.")


def _listed(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or Path(match["name"]).is_absolute() or ".." in Path(match["name"]).parts:
            raise Refused(f"The kit's {SUMS} has a line that is none. Ask its maker.")
        found[match["name"]] = match["digest"]
    return found


def _files(directory: Path) -> set[str]:
    found = set()
    for place, folders, names in os.walk(directory):
        for name in [*names, *folders]:
            path = Path(place, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise Refused(
                    f"The kit holds a link, a pipe or a device: {path.relative_to(directory)}. "
                    "Do not use it; copy it again from its maker."
                )
        found.update(Path(place, name).relative_to(directory).as_posix() for name in names)
    return found - {SUMS, SIGNATURE}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Run as Ansible runs it."""
    from ansible.module_utils.basic import AnsibleModule  # the rest is tested where there is no Ansible

    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "public_key": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    try:
        kit = check(Path(module.params["directory"]), module.params["public_key"])
    except Refused as refused:
        module.fail_json(msg=str(refused))
    except OSError as err:
        module.fail_json(msg=f"The kit cannot be read: {err.strerror}. Copy it again.")
    module.exit_json(changed=False, kit=kit)


if __name__ == "__main__":
    main()
