"""Reaching this machine's own gateway from a command: over TLS where it has a certificate."""

from __future__ import annotations

import ssl

from appliance.errors import CertificateUnusable
from appliance.settings import Settings


def trust(tree: Settings) -> ssl.SSLContext | None:
    """Trust in exactly the gateway's own certificate, whoever signed it; None where it answers without TLS.

    Raises:
        CertificateUnusable: it cannot be read.
    """
    path = tree.gateway.tls_certificate_path
    if path is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate itself is the anchor. It names the box as apps call it, and is asked for here on loopback.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=path)
    except OSError as err:  # ssl.SSLError is one
        raise CertificateUnusable(
            f"The TLS certificate {path} cannot be read: {err.strerror}.",
            remedy="Let this user read gateway.tls_certificate_path; it is no secret.",
        ) from None
    return context


def scheme(tree: Settings) -> str:
    """``https`` or ``http``."""
    return "http" if tree.gateway.tls_certificate_path is None else "https"
