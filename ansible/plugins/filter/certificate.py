"""Filter for the playbook's refusals: what an app would say to a certificate, before it is on the box."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any


def fault(certificate: Any, key: Any, authority: Any, name: Any) -> str:
    """What is wrong with the academy's certificate, as a sentence; empty if an app that trusts the CA would take it.

    The app is this Python: both ends of a TLS handshake, in memory. So all is asked that is asked in earnest: that key
    and certificate belong together, the chain, its times, and the name.

    Args:
        certificate: path of the PEM file with the certificate and its chain.
        key: of its private key.
        authority: of the CA's certificate.
        name: by which apps call the box.
    """
    for variable, value in (("certificate", certificate), ("key", key), ("ca", authority)):
        if not value or not Path(value).is_file():
            return f"There is no file {str(value)!r} where Ansible runs: set tls_{variable}_file to the whole path."
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        client.load_verify_locations(authority)
    except (ssl.SSLError, OSError):
        return f"{authority} holds no certificate in PEM: set tls_ca_file to the CA's."
    try:
        # An encrypted key would have openssl ask on the terminal: an empty passphrase opens none.
        server.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as err:
        if err.reason == "KEY_VALUES_MISMATCH":
            return f"{key} is not the key of {certificate}: name the two that were made together."
        return f"{certificate} and {key} must be PEM files, the key without a passphrase."
    except OSError as err:
        return f"{certificate} and {key} cannot be read: {err.strerror}."
    return _handshake(server, client, str(name))


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up, server_hostname=name)
    answering = server.wrap_bio(up, down, server_side=True)
    for end in (asking, answering) * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as err:
            return f"Apps would refuse the certificate: {err.verify_message.rstrip('.')}."
        except ssl.SSLError as err:
            return f"Apps would refuse the certificate: {err.reason}."
    return ""


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filter by name, as in ``file | appliance_certificate_fault(key, ca, name)``."""
        return {"appliance_certificate_fault": fault}
