"""What pip says while it downloads: how far it is, and why it failed.

The lines are those of pip 26 with ``--progress-bar raw`` (pip's
``cli/progress_bars.py``) and of its error messages. They are read for their
meaning only; nothing of them is shown, since they hold addresses and paths.
"""

from __future__ import annotations

import re

from appliance.errors import DigestMismatch, DownloadFailed, NotEnoughDisk, OperatorError

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)\s*")
_TRY_AGAIN = "Run the same command again"
#: Words of pip's messages, in the order in which they decide.
_NO_CONNECTION = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "NewConnectionError",
    "NameResolutionError",
    "ProxyError",
    "Network is unreachable",
)


def progress(line: str) -> tuple[int, int] | None:
    """``(bytes done, bytes in all)`` of one of pip's raw progress lines, None for any other line."""
    match = _PROGRESS.fullmatch(line)
    return (int(match[1]), int(match[2])) if match else None


def failure(messages: str, package: str) -> OperatorError:
    """Why pip failed, in our words.

    Args:
        messages: what pip wrote on standard error.
        package: name and version of what was to be fetched.
    """
    if "No module named pip" in messages:
        return DownloadFailed(
            "pip is not installed in this environment, so nothing can be downloaded.",
            remedy="Run `python -m ensurepip` with this environment's Python, then the same command again.",
        )
    if "No space left on device" in messages:
        return NotEnoughDisk(f"The disk became full while {package} was downloaded.")
    if "DO NOT MATCH THE HASHES" in messages:
        return DigestMismatch(f"The package index gave another file for {package} than the pinned one.")
    if any(words in messages for words in _NO_CONNECTION):
        return DownloadFailed(
            f"{package} could not be downloaded: the package index cannot be reached.",
            remedy=f"Check the network and the proxy settings of pip. {_TRY_AGAIN}.",
        )
    if "CERTIFICATE_VERIFY_FAILED" in messages or "SSLError" in messages:
        return DownloadFailed(
            f"{package} could not be downloaded: the package index's certificate is not trusted here.",
            remedy=f"Give pip the right certificate authority (pip config set global.cert FILE). {_TRY_AGAIN}.",
        )
    if "No matching distribution" in messages:
        return DownloadFailed(
            f"{package} could not be downloaded: the package index does not answer or does not have it.",
            remedy=f"Check which index pip uses (pip config list). {_TRY_AGAIN}.",
        )
    return DownloadFailed(f"The download of {package} broke off.", remedy=f"Check the network. {_TRY_AGAIN}.")
