"""What the key database holds, looked at row by row and byte by byte."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Any

from appliance.core.evidence import Result, failed, not_applicable, passed, unknown
from appliance.health.host import Host

_DIGEST_BYTES = 32
#: A whole key: prefix, id and secret.
_KEY = re.compile(rb"sk-appliance-[a-z2-7]{8}-[A-Za-z0-9_-]{43}")


def hashed(host: Host) -> Result:
    """Every row has a digest and no row a key, nor have the database's files."""
    found = _rows(host)
    if isinstance(found, Result):
        return found
    odd = [
        row["key_id"] for row in found if not isinstance(row["digest"], bytes) or len(row["digest"]) != _DIGEST_BYTES
    ]
    if odd:
        return failed(f"no SHA-256 digest: {', '.join(odd)}", f"SHA-256 해시가 아님: {', '.join(odd)}")
    path = host.settings.key_database_path
    files = [path, path.with_name(path.name + "-wal")]
    leaking = [file.name for file in files if file.exists() and _KEY.search(file.read_bytes())]
    if leaking:
        return failed(f"a whole key stands in {', '.join(leaking)}", f"키 원문이 있음: {', '.join(leaking)}")
    return passed(f"{len(found)} keys, digests only", f"키 {len(found)}개, 모두 해시")


def accountable(host: Host) -> Result:
    """Every key names its app; how many are usable and how many never end is told for the review."""
    found = _rows(host)
    if isinstance(found, Result):
        return found
    usable = [row for row in found if row["revoked_at"] is None and (row["expires_at"] or host.now + 1) > host.now]
    odd = [row["key_id"] for row in usable if not row["app"].strip()]
    if odd:
        return failed(f"nobody's: {', '.join(odd)}", f"소유 앱 없음: {', '.join(odd)}")
    endless = sum(1 for row in usable if row["expires_at"] is None)
    return passed(
        f"{len(usable)} usable keys of {len({row['app'] for row in usable})} apps, {endless} without an end",
        f"사용 가능한 키 {len(usable)}개, 앱 {len({row['app'] for row in usable})}개, 만료일 없는 키 {endless}개",
    )


def _rows(host: Host) -> list[dict[str, Any]] | Result:
    path = host.settings.key_database_path
    if not path.exists():
        return not_applicable("no key was ever made", "아직 만든 키가 없음")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5.0)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM api_key")]
    except sqlite3.Error as err:
        return unknown(f"the key database cannot be read: {err}", f"키 데이터베이스를 읽을 수 없음: {err}")
