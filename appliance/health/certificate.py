"""When do the TLS certificates end?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509

from appliance.core import upkeep_judgement
from appliance.core.upkeep import Outcome
from appliance.core.upkeep_judgement import Validity


def look(paths: Mapping[str, Path | None], now: float) -> Outcome:
    """See how long each certificate is valid.

    Args:
        paths: one of ``core.upkeep.CERTIFICATES`` to its PEM file; None where none is configured.
        now: Unix seconds.
    """
    return upkeep_judgement.certificates(
        {which: _validity(path) for which, path in paths.items() if path is not None}, now
    )


def _validity(path: Path) -> Validity | str:
    """Of all certificates in the file: a client refuses a chain with one that has ended."""
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as err:
        return f"{path}: {err.strerror}"
    except ValueError:
        return f"{path}: there is no certificate in it"
    return Validity(
        max(certificate.not_valid_before_utc.timestamp() for certificate in chain),
        min(certificate.not_valid_after_utc.timestamp() for certificate in chain),
    )
