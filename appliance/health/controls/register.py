"""Every check by the key of its control, and all of them in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from appliance.core.controls import CONTROLS
from appliance.core.evidence import Result
from appliance.health.controls import (
    audit,
    backup,
    bundle,
    egress,
    engine_line,
    engine_network,
    files,
    keys,
    listeners,
    machine,
    privacy_test,
    requests,
    software,
    units,
)
from appliance.health.host import Host

CHECKS: Mapping[str, Callable[[Host], Result]] = {
    "egress.rules": egress.rules,
    "egress.engine_silent": egress.engine_silent,
    "egress.privacy_test": privacy_test.last,
    "engine.network": engine_network.private,
    "engine.socket": engine_line.socket,
    "engine.serialization": engine_line.serialization,
    "engine.code": engine_line.code,
    "engine.grammar": engine_line.grammar,
    "engine.template": engine_line.template,
    "engine.caps": engine_line.caps,
    "engine.prefix_hash": engine_line.prefix_hash,
    "engine.offline": engine_line.offline,
    "engine.no_content_logged": engine_line.no_content_logged,
    "request.text_only": requests.text_only,
    "request.identifier": requests.identifier,
    "request.routes": requests.routes,
    "request.hosts": requests.hosts,
    "request.grammar": requests.grammar,
    "request.template": requests.template,
    "request.size": requests.size,
    "request.fields": requests.fields,
    "request.cache_salt": requests.cache_salt,
    "request.metric_labels": requests.metric_labels,
    "keys.hashed": keys.hashed,
    "keys.accountable": keys.accountable,
    "files.modes": files.modes,
    "listener.admin": listeners.admin,
    "listener.tls": listeners.tls,
    "audit.intact": audit.intact,
    "audit.retention": audit.retention,
    "audit.required": audit.required,
    "backup.fresh": backup.fresh,
    "bundle.signature": bundle.signature,
    "bundle.files": bundle.files,
    "software.versions": software.versions,
    "software.pth": software.pth,
    "host.clock": machine.clock,
    "host.core_dumps": machine.core_dumps,
    "host.sandbox": units.sandbox,
    "host.users": units.users,
}


def run(host: Host) -> Iterator[tuple[str, Result]]:
    """The results, in the order of the report."""
    for control in CONTROLS:
        yield control.key, CHECKS[control.key](host)
