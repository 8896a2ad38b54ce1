"""Every failure a person or an app can meet: key, message, remedy, HTTP status.

``key`` is the machine-readable name (the ``code`` of an OpenAI error body),
``type`` the OpenAI error type that SDKs map to exception classes. Messages are
made of our own words and of values we vouch for: never of a client's input,
an engine's internal text, a path or a traceback.

Source of the HTTP codes: the OpenAI API reference, "Error codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ApplianceError(Exception):
    """Base of all failures that are shown to somebody.

    Args:
        message: what happened, one sentence; the class default if empty.
        remedy: what the reader can do, one sentence; the class default if empty.
        param: name of the request field at fault, for HTTP errors.
        headers: extra response headers, for HTTP errors.
    """

    key: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    message: str = "The appliance failed to handle this."
    remedy: str = "Try again; if it happens again, tell the appliance's operator the request id."
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str = "",
        *,
        remedy: str = "",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.remedy = remedy or type(self).remedy
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


# --- What a client sent -----------------------------------------------------------------------


class InvalidRequest(ApplianceError):
    """The body does not fit the schema, or names a field that is refused."""

    key = "invalid_request"
    type = "invalid_request_error"
    status = 400
    message = "The request is not valid."
    remedy = "Compare it with the OpenAI API reference and docs/api.md."


class BadJson(InvalidRequest):
    """The body is not a JSON object."""

    key = "invalid_json"
    message = "The request body is not valid JSON."
    remedy = "Send one JSON object with Content-Type: application/json."


class RefusedField(InvalidRequest):
    """A field that exists in some API but that this appliance refuses, with the reason."""

    key = "refused_field"
    message = "A field of the request is refused here."
    remedy = "Leave it out."


class ContextLengthExceeded(InvalidRequest):
    """Prompt and completion do not fit the model's context together."""

    key = "context_length_exceeded"
    message = "The prompt and the completion together are longer than the model's context."
    remedy = "Shorten the messages or lower max_completion_tokens."


class MissingKey(ApplianceError):
    """No usable Authorization header."""

    key = "missing_api_key"
    type = "authentication_error"
    status = 401
    message = "No API key was sent."
    remedy = "Send the header Authorization: Bearer <key>; `appliance keys create` makes one."


class InvalidKey(ApplianceError):
    """The key is unknown, revoked or expired. All three look the same to the caller."""

    key = "invalid_api_key"
    type = "authentication_error"
    status = 401
    message = "The API key is not valid."
    remedy = "Check the key, or have one made with `appliance keys create`."


class KeysUnavailable(ApplianceError):
    """A key that is not known in memory, while the key database cannot be asked: it may be a good one."""

    key = "keys_unavailable"
    type = "server_error"
    status = 503
    message = "API keys cannot be checked now."
    remedy = "Try again soon; the appliance's operator finds the reason in its log."


class PermissionDenied(ApplianceError):
    """The key is good but not for this."""

    key = "permission_denied"
    type = "permission_error"
    status = 403
    message = "This API key may not do that."
    remedy = "Ask the appliance's operator to widen the key's permissions."


class ModelNotFound(ApplianceError):
    """The model's name is neither the active model nor an alias of it."""

    key = "model_not_found"
    type = "invalid_request_error"
    status = 404
    message = "The requested model is not served here."
    remedy = "GET /v1/models lists the names that are."


class EmbeddingsNotServed(ModelNotFound):
    """No embedding model is installed."""

    message = "No embedding bundle is installed on this appliance."
    remedy = "Have its operator install one; the model that is active generates text only."


class RouteNotFound(ApplianceError):
    """The path is not on the allowlist of routes."""

    key = "unknown_url"
    type = "invalid_request_error"
    status = 404
    message = "There is no such route."
    remedy = "docs/api.md lists the routes; the base_url ends in /v1."


class MethodNotAllowed(ApplianceError):
    """The path exists, with another method."""

    key = "method_not_allowed"
    type = "invalid_request_error"
    status = 405
    message = "This route does not take that method."
    remedy = "The Allow header names the methods it takes."


class RequestTimeout(ApplianceError):
    """The client did not send the whole body in time."""

    key = "request_timeout"
    type = "invalid_request_error"
    status = 408
    message = "The request body did not arrive in time."
    remedy = "Send it again in one go."


class PayloadTooLarge(ApplianceError):
    """Body or headers over the cap."""

    key = "payload_too_large"
    type = "invalid_request_error"
    status = 413
    message = "The request is too large."
    remedy = "Send less text, or raise gateway.max_body_bytes."


class HeadersTooLarge(ApplianceError):
    """Header block over the cap."""

    key = "headers_too_large"
    type = "invalid_request_error"
    status = 431
    message = "The request's headers are too large."
    remedy = "Send fewer or shorter headers."


class UntrustedHost(ApplianceError):
    """The Host header is not one the appliance answers to."""

    key = "untrusted_host"
    type = "invalid_request_error"
    status = 421
    message = "This appliance does not answer to that host name."
    remedy = "Use a name listed in gateway.allowed_hosts, or add it there."


class RateLimited(ApplianceError):
    """A limit of the key or of the box is reached; waiting helps."""

    key = "rate_limit_exceeded"
    type = "rate_limit_error"
    status = 429
    message = "Too many requests."
    remedy = "Wait as long as the retry-after header says."


class EngineBusy(RateLimited):
    """All slots of the engine are taken, and the queue in front of it is full or too slow."""

    message = "The model is busy."


class TooManyConnections(ApplianceError):
    """More connections than the gateway may hold."""

    key = "too_many_connections"
    type = "server_error"
    status = 503
    message = "The appliance has too many connections open."
    remedy = "Try again in a second, over fewer connections; or raise gateway.max_connections."


class QuotaExceeded(ApplianceError):
    """A quota of the key is used up; retrying soon does not help."""

    key = "insufficient_quota"
    type = "insufficient_quota"
    status = 429
    message = "The key's token quota for today is used up."
    remedy = "Wait for the next day, or ask the appliance's operator to raise the quota."


class AuditUnavailable(ApplianceError):
    """The audit cannot be written, and the settings ask for it: nothing is answered unrecorded."""

    key = "audit_unavailable"
    type = "server_error"
    status = 503
    message = "The appliance cannot record requests at present, so it answers none."
    remedy = "The appliance's operator frees disk space or mends the state directory; service then resumes by itself."


# --- The engine -------------------------------------------------------------------------------


class EngineUnavailable(ApplianceError):
    """The engine is starting, restarting or gone; nothing was generated."""

    key = "engine_unavailable"
    type = "server_error"
    status = 503
    message = "The model is not ready."
    remedy = "Try again in a few seconds; GET /health/ready says when."


class EngineFailed(ApplianceError):
    """The engine accepted the request and then failed."""

    key = "engine_failed"
    type = "server_error"
    status = 502
    message = "The model failed while it answered."
    remedy = "Send the request again."


class EngineTimeout(ApplianceError):
    """The engine did not answer before the deadline."""

    key = "engine_timeout"
    type = "server_error"
    status = 504
    message = "The model did not answer in time."
    remedy = "Send the request again, or ask for fewer tokens."


# --- The operator's side ----------------------------------------------------------------------


class OperatorError(ApplianceError):
    """Base of what stops a command on the box; printed as one line, never a traceback."""

    key = "operator_error"
    message = "The command could not do its work."
    remedy = "See docs/operations.md."


class SettingsInvalid(OperatorError):
    """A setting is unknown, of the wrong type or out of range."""

    key = "settings_invalid"
    message = "The settings are not valid."
    remedy = "docs/settings.md lists every setting with its type and range."
    exit_code = 78  # EX_CONFIG


class CertificateUnusable(OperatorError):
    """The certificate or the key of the TLS listener cannot be used."""

    key = "certificate_unusable"
    message = "The TLS certificate cannot be used."
    remedy = "Put a certificate with its chain and its key there, both as PEM; docs/hardening.md says how."
    exit_code = 78  # EX_CONFIG


class PacketFilterFailed(OperatorError):
    """nft is missing, refused the ruleset, or has tables of somebody else; what was loaded stays."""

    key = "packet_filter_failed"
    message = "The packet filter cannot be loaded."
    remedy = "Run it as root; `appliance egress --check` says what nft finds."
    exit_code = 71  # EX_OSERR


class StateUnusable(OperatorError):
    """The state directory cannot be created, read or written."""

    key = "state_unusable"
    message = "The state directory cannot be used."
    remedy = "Give this user write permission on it, or choose another with APPLIANCE_STATE_DIR."
    exit_code = 73  # EX_CANTCREAT


class NotConclusive(OperatorError):
    """A check could not test what it is there to test: neither good nor bad."""

    key = "not_conclusive"
    message = "Nothing was tested."
    remedy = "Start the appliance first."
    exit_code = 75  # EX_TEMPFAIL


class PortTaken(OperatorError):
    """Another process listens on the port already."""

    key = "port_taken"
    message = "The port is taken by another process."
    remedy = "Stop that process, or choose another port with APPLIANCE_GATEWAY__PORT."
    exit_code = 69  # EX_UNAVAILABLE


class AlreadyRunning(OperatorError):
    """An engine already answers on the socket."""

    key = "already_running"
    message = "An engine already listens on this socket."
    remedy = "Stop it first, or use another APPLIANCE_STATE_DIR."
    exit_code = 69


class NotEnoughMemory(OperatorError):
    """The host's or the GPU's memory is too small for the model."""

    key = "not_enough_memory"
    message = "There is not enough free memory for the model."
    remedy = "Close other programs or use a smaller model."
    exit_code = 69


class NotEnoughDisk(OperatorError):
    """The file system is too full for what is to be written."""

    key = "not_enough_disk"
    message = "There is not enough free disk space."
    remedy = "Free some space, or choose another place with APPLIANCE_STATE_DIR."
    exit_code = 69


class DownloadFailed(OperatorError):
    """A package could not be fetched; what arrived is kept."""

    key = "download_failed"
    message = "The download failed."
    remedy = "Check the connection to the package index and run the same command again; it goes on where it stopped."
    exit_code = 69


class DigestMismatch(OperatorError):
    """A file's SHA-256 is not the one that is pinned."""

    key = "digest_mismatch"
    message = "A file is not the one that was pinned."
    remedy = "It was deleted; run the same command again. If it happens twice, do not use that source."
    exit_code = 65  # EX_DATAERR


class ModelUnusable(OperatorError):
    """The model directory is missing, incomplete or holds something that is refused."""

    key = "model_unusable"
    message = "The model directory cannot be used."
    remedy = "Install a bundle: `appliance bundle install FILE --activate`; to try it out, `appliance demo` makes one."
    exit_code = 65


class BundleTooNew(ModelUnusable):
    """The bundle's format is of a later version of the appliance."""

    key = "bundle_too_new"
    message = "The bundle is of a format that this appliance does not know yet."
    remedy = "Update the appliance first, or ask for a bundle of its format."


class BundleUntrusted(OperatorError):
    """The bundle is not signed by a key that this box trusts, or is not what was signed."""

    key = "bundle_untrusted"
    message = "The bundle is not signed by a trusted key."
    remedy = "Do not use it; ask whoever made it for one that is signed by a key in this box's trusted keys."
    exit_code = 65


class SigningFailed(OperatorError):
    """The signing key cannot be used."""

    key = "signing_failed"
    message = "The bundle could not be signed."
    remedy = "Make a key with `appliance bundle keygen`, or name the right one with --key."
    exit_code = 66  # EX_NOINPUT


class BundleOlder(OperatorError):
    """A bundle would be replaced by an older one of the same name."""

    key = "bundle_older"
    message = "The bundle is older than the one that is installed."
    remedy = "Give --allow-downgrade if that is meant."
    exit_code = 65


class BundleExists(OperatorError):
    """A bundle of that name and version is installed, with other content."""

    key = "bundle_exists"
    message = "Another bundle of the same name and version is installed."
    remedy = "A version is used once: ask whoever made it to give the new one a new version."
    exit_code = 65


class BundleInUse(OperatorError):
    """A bundle that is in use, or the way back from it, was to be removed."""

    key = "bundle_in_use"
    message = "The bundle is in use."
    remedy = "Activate another one first."
    exit_code = 69


class BundleNotFound(OperatorError):
    """No such bundle is installed, or nothing to go back to."""

    key = "bundle_not_found"
    message = "No such bundle is installed."
    remedy = "`appliance bundle list` shows those that are."
    exit_code = 66  # EX_NOINPUT


class ModelChangeFailed(OperatorError):
    """The running engine did not take the other model; the old one serves on."""

    key = "model_change_failed"
    message = "The running engine did not take the other model."
    remedy = "The old model serves on. The engine's log has the reason."
    exit_code = 70  # EX_SOFTWARE


class GoldenFailed(OperatorError):
    """The new model answered a golden question wrong; the old one serves on."""

    key = "golden_failed"
    message = "The new model did not pass its golden questions."
    remedy = "The old model serves on. Give the message to whoever made the bundle."
    exit_code = 70


class RecipeInvalid(OperatorError):
    """A model's recipe is missing or not of the right form."""

    key = "recipe_invalid"
    message = "The model's recipe cannot be used."
    remedy = "Run the command in a checkout of the repository, or restore models/ from it."
    exit_code = 78


class ConversionFailed(OperatorError):
    """The published weights could not be turned into the form the engine loads."""

    key = "conversion_failed"
    message = "The model could not be converted."
    remedy = "Run the same command again; prepare.log in the state directory's log folder has the reason."
    exit_code = 70  # EX_SOFTWARE


class BuildEnvironmentMissing(OperatorError):
    """A bundle is to be built where torch and what stands on it are not installed."""

    key = "build_environment_missing"
    message = "This Python is not the build environment."
    remedy = "Run `make build-env`, then .venv-build/bin/appliance bundle build."
    exit_code = 69  # EX_UNAVAILABLE


class BuildStageFailed(OperatorError):
    """A program of the build environment failed."""

    key = "build_stage_failed"
    message = "A stage of the build failed."
    remedy = "Its log has the reason; the same command goes on from the stage that failed."
    exit_code = 70  # EX_SOFTWARE


class GateMissed(OperatorError):
    """A model's scores are below what its recipe demands."""

    key = "gate_missed"
    message = "The model's scores are below its recipe's gate."
    remedy = "Train it longer, or change the gate in the recipe; the evaluation page has the scores."
    exit_code = 65  # EX_DATAERR


class EvaluationFailed(OperatorError):
    """The endpoint to be evaluated does not answer, or the academy's items cannot be read."""

    key = "evaluation_failed"
    message = "The evaluation could not be done."
    remedy = "Check --base-url, --key and --model with one request of your own."
    exit_code = 69  # EX_UNAVAILABLE


class BackupUnusable(OperatorError):
    """A backup cannot be made, read or opened with this key."""

    key = "backup_unusable"
    message = "The backup cannot be used."
    remedy = "`appliance backup list` shows those there are; docs/backup.md says what they need."
    exit_code = 65  # EX_DATAERR


class StateNotEmpty(OperatorError):
    """A backup would be restored over what is there."""

    key = "state_not_empty"
    message = "The state directory is not empty."
    remedy = "Give --replace to set aside what is there."
    exit_code = 73  # EX_CANTCREAT


class StatementUnusable(OperatorError):
    """A signed statement or the key of it cannot be read, or is not genuine."""

    key = "statement_unusable"
    message = "The statement cannot be used."
    remedy = "Give the statement and the .sig file beside it as the box wrote them, and its public key."
    exit_code = 65


class PrometheusUnavailable(OperatorError):
    """The Prometheus that keeps the box's history does not answer."""

    key = "prometheus_unavailable"
    message = "Prometheus does not answer."
    remedy = "Start it, or put its address into energy.prometheus_url (docs/cost.md)."
    exit_code = 69


class EnergyUnknown(OperatorError):
    """Prometheus answers and has no energy of the cards."""

    key = "energy_unknown"
    message = "Prometheus knows of no energy in this period."
    remedy = "See that `appliance exporter` runs and that Prometheus reads it (docs/cost.md)."
    exit_code = 69


class PythonTooOld(OperatorError):
    """The interpreter is older than the code needs."""

    key = "python_too_old"
    message = "The appliance needs a newer Python."
    remedy = "Install Python 3.11 or later and make the environment anew with it."
    exit_code = 69


class HardwareMissing(OperatorError):
    """The settings ask for hardware that this machine does not show."""

    key = "hardware_missing"
    message = "No usable GPU was found."
    remedy = "Check the driver with nvidia-smi; to run on the CPU on purpose set APPLIANCE_ENGINE__DEVICE=cpu."
    exit_code = 69


class EngineMissing(OperatorError):
    """vLLM is not installed beside this command."""

    key = "engine_missing"
    message = "vLLM is not installed in this environment."
    remedy = "Install the engine-cpu or the engine-gpu lock (deploy/locks/)."
    exit_code = 69


class EngineStartFailed(OperatorError):
    """The engine did not come up."""

    key = "engine_start_failed"
    message = "The engine did not start."
    remedy = "Its log has the reason: journalctl -u appliance-engine, or the engine.log the demo names."
    exit_code = 70  # EX_SOFTWARE


class ProcessEnded(OperatorError):
    """One of the appliance's processes ended by itself while it was to serve."""

    key = "process_ended"
    message = "A process of the appliance ended by itself."
    remedy = "Its log has the reason; start the command again."
    exit_code = 70


class EngineStopped(OperatorError):
    """The engine ended or hung after it had served, and was not to be restarted."""

    key = "engine_stopped"
    message = "The engine stopped unexpectedly."
    remedy = "Its log has the reason: journalctl -u appliance-engine, or the engine.log the demo names."
    exit_code = 70


class KeyStoreError(OperatorError):
    """The key database refuses what was asked."""

    key = "key_store_error"
    message = "The key could not be changed."
    remedy = "`appliance keys list` shows the keys there are."
