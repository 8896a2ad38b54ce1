"""The log: JSON lines under a service manager, readable on a terminal, never content or keys.

An event is a fixed phrase plus fields. Which fields may be written is decided
in ``core.privacy``; anything else is dropped here, so that a careless call
cannot leak a prompt or a key.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from appliance.core import privacy

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from appliance.settings import LogSettings


def configure(settings: LogSettings) -> None:
    """Send structlog and the standard library's loggers to standard error.

    Args:
        settings: format (``auto`` asks whether standard error is a terminal) and level.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    readable = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if readable
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _keep_allowed_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(level, logging.WARNING), force=True)


def get(name: str) -> FilteringBoundLogger:
    """A logger whose events carry ``logger=name``."""
    # `logger` is a parameter's name in structlog, so the value travels as `module`.
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def _keep_allowed_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if "module" in event:
        event["logger"] = event.pop("module")
    return privacy.loggable(event)


class _ToStructlog(logging.Handler):
    """A library's own log record: its logger and level, not its text, which may quote a request."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"source": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        # structlog knows the five standard levels only; a library's own, such as 35, falls to the one below.
        level = max(logging.WARNING, min(record.levelno, logging.CRITICAL) // 10 * 10)
        get("library").log(level, "library message", **fields)
