"""Is the model in use the one that was signed, and model only?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from appliance.core import file_content, manifest
from appliance.core.evidence import Result, failed, passed, unknown
from appliance.errors import ApplianceError
from appliance.health.host import Host

_MAX_JSON_BYTES = file_content.MAX_TEXT_BYTES


def signature(host: Host) -> Result:
    """Every signed file is there and unchanged, and the key is trusted."""
    directory = host.settings.model_dir
    if not directory.is_dir():
        return _none(directory)
    try:
        owner = host.signer(directory.resolve())
    except ApplianceError as err:
        return failed(err.message, f"서명 확인 실패: {err.message}")
    except OSError as err:
        return unknown(f"{err.filename}: {err.strerror}", f"읽을 수 없음: {err.filename}")
    return passed(f"{directory.resolve().name}, signed by {owner}", f"{directory.resolve().name}, 서명: {owner}")


def files(host: Host) -> Result:
    """No name, no content and no reference by which code would come along."""
    directory = host.settings.model_dir
    if not directory.is_dir():
        return _none(directory)
    root = directory.resolve()
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())
    ours = {manifest.FILE_NAME, manifest.SIGNATURE_NAME}
    try:
        odd = [*manifest.problems([name for name in names if name not in ours])]
        for name in names:
            odd += _inside(root, name)
    except OSError as err:
        return unknown(f"{err.filename}: {err.strerror}", f"읽을 수 없음: {err.filename}")
    if odd:
        return failed("; ".join(odd), "; ".join(odd))
    return passed(f"{len(names)} files, none of them code", f"파일 {len(names)}개, 코드 없음")


def _inside(root: Path, name: str) -> Iterator[str]:
    path = root / name
    size = path.stat().st_size
    with path.open("rb") as file:
        refusal = file_content.refusal(name, file.read(file_content.HEAD_BYTES), size)
    if refusal:
        yield f"{name!r} {refusal}"
    elif name.endswith(".json") and size <= _MAX_JSON_BYTES:
        try:
            document = json.loads(path.read_bytes())
        except ValueError:
            yield f"{name!r} is not JSON"
        else:
            yield from (f"{name!r} names code at {place}" for place in manifest.code_references(document))


def _none(directory: Path) -> Result:
    return unknown(f"there is no model at {directory}", f"{directory}에 모델이 없음")
