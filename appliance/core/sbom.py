"""The list of a bundle's components, CycloneDX 1.6 as JSON.

Without a date and with a serial number made from the content, so that the same
bundle has the same list. Source: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from appliance.errors import ModelUnusable

FILE_NAME = "sbom.cdx.json"
_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # the URL name space of RFC 9562


@dataclass(frozen=True)
class Component:
    """Something the bundle was made of.

    Args:
        kind: CycloneDX type: ``machine-learning-model``, ``data``, ``library``, ``file``.
        name: its name.
        version: its version or revision.
        licence: SPDX expression; empty if it has none.
        purl: package URL; empty if it has none.
        sha256: digest in hexadecimal; empty if it is known by version alone.
    """

    kind: str
    name: str
    version: str
    licence: str = ""
    purl: str = ""
    sha256: str = ""


def render(bundle: Component, components: Iterable[Component]) -> str:
    """The document.

    Args:
        bundle: the model itself.
        components: what it was made of: base, adapter, corpus, tools.
    """
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _entry(bundle)},
        "components": [_entry(part) for part in sorted(components, key=lambda part: (part.kind, part.name))],
    }
    content = json.dumps(document, ensure_ascii=False, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(_SPACE, content)}"
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def names(document: Any) -> list[str]:
    """The components' names and versions.

    Args:
        document: parsed JSON.

    Raises:
        ModelUnusable: it is no CycloneDX document, or lists nothing.
    """
    components = document.get("components") if isinstance(document, dict) else None
    if not isinstance(components, list) or not components or document.get("bomFormat") != "CycloneDX":
        raise ModelUnusable("The bundle's list of components is not CycloneDX, or empty.")
    entries = [entry if isinstance(entry, dict) else {} for entry in components]
    if not all(isinstance(entry.get("name"), str) and isinstance(entry.get("type"), str) for entry in entries):
        raise ModelUnusable("The bundle's list of components has one without name or type.")
    return [f"{entry['name']} {entry.get('version', '')}".strip() for entry in entries]


def _entry(part: Component) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": part.kind, "name": part.name, "version": part.version}
    if part.licence:
        entry["licenses"] = [{"expression": part.licence}]
    if part.purl:
        entry["purl"] = part.purl
    if part.sha256:
        entry["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
    return entry
