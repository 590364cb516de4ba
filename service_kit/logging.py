"""One processor chain for structlog and for the standard library's loggers, two renderers.

Logs are events, not sentences: `log.info("message_received", update_id=7)`. The correlation id is a
context variable, so that every line written while a message is served carries it, third-party lines
too. Secrets are redacted here, in the one place all lines pass: whatever is a secret of this process's
settings, whatever has a secret's name, whatever looks like one.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Any

import structlog
from pydantic import BaseModel, SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from service_kit.settings import ServiceSettings
from service_kit.tracebacks import format_traceback

_SECRET_KEYS = re.compile(
    r"token|secret(?!ar)|password|passwd|api_?key|authorization|credential|encryption|verifier|owner_code|dsn",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"_tokens$|^tokens$", re.IGNORECASE)
_SECRET_TEXTS = (
    (re.compile(r"(bot)\d{3,}:[A-Za-z0-9_-]{10,}"), r"\1***"),  # Telegram: /bot<token>/method
    (re.compile(r"\b\d{6,}:[A-Za-z0-9_-]{30,}\b"), "***"),  # the token alone
    (re.compile(r"\b(sk-|ya29\.|1//|GOCSPX-|gAAAAA)[A-Za-z0-9._/=-]{8,}"), r"\1***"),
    (re.compile(r"(?i)(bearer\s+)(?![a-z]{1,15}(?![\w.~+/=-]))[A-Za-z0-9._~+/=-]{6,}"), r"\1***"),
    (re.compile(r"(://[^:/@\s]*:)[^@/\s]+@"), r"\1***@"),  # user:password@ in any URL
    (
        re.compile(r"(?i)([?&](?:code|state|access_token|refresh_token|client_secret|key)=)[^&\s\"']+"),
        r"\1***",
    ),
    (  # name and value, as in a dictionary or an environment; not a sentence ("…_TOKEN: stop the other one")
        re.compile(
            r"(?i)((?:password|passwd|secret|api_?key|_token|_verifier)(?!:\s+[^\W\d_]{1,7}(?![\w-]))"
            r"[\"']?\s*[:=]\s*[\"']?)[^\s\"',&;)}]+"
        ),
        r"\1***",
    ),
)
_MAY_HOLD_SECRET = re.compile(r"[:=\s]|sk-|ya29\.|1//|GOCSPX-|gAAAAA")
"""What a text must have for any of these to fit: most words of a line have nothing of it."""
_OWN_FIELDS = frozenset({"timestamp", "level", "logger", "service"})
"""Set by this chain itself, on every line."""
REDACTED = "***"
_VERBOSE = (
    *("httpx2", "httpcore2", "urllib3", "openai", "aiohttp.access", "uvicorn.access", "googleapiclient"),
    *("google_auth_oauthlib", "requests_oauthlib", "oauthlib"),
)
"""They log each request, with the whole URL or the tokens in it; services log what matters themselves."""
_COMMON_WORD = re.compile(r".{0,7}|[^\W\d_]{0,15}")
"""A secret setting's value that may be a word of any text: it is known by its name only."""
_known_secrets: list[str] = []


def redact_text(text: str) -> str:
    """`text` without this process's secrets and whatever looks like a token, key or password."""
    for secret in _known_secrets:
        text = text.replace(secret, REDACTED)
    if _MAY_HOLD_SECRET.search(text):
        for pattern, replacement in _SECRET_TEXTS:
            text = pattern.sub(replacement, text)
    return text


def _redact(value: Any) -> Any:  # noqa: ANN401 - log fields are of any type
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {str(key): REDACTED if _is_secret(key) else _redact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item) for item in value]
    if value is None or isinstance(value, int | float | bool):
        return value
    return redact_text(str(value))


@lru_cache(1000)
def _is_secret(key: object) -> bool:
    return isinstance(key, str) and bool(_SECRET_KEYS.search(key)) and not _COUNTED.search(key)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: no secret leaves the process in a log line."""
    return {
        key: value
        if key in _OWN_FIELDS or key.startswith("_")
        else REDACTED
        if _is_secret(key)
        else _redact(value)
        for key, value in event.items()
    }


def _secrets_in(value: object) -> Iterator[str]:
    """The secrets that a setting holds, at any depth."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _secrets_in(dict(value))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)


def _secrets_of(settings: ServiceSettings) -> list[str]:
    """The values of all secret settings, longest first; a list separated by commas counts one by one."""
    values = _secrets_in(settings)
    parts = {part.strip() for value in values for part in (value, *value.split(","))}
    return sorted((part for part in parts if not _COMMON_WORD.fullmatch(part)), key=len, reverse=True)


def configure_logging(service: str, settings: ServiceSettings) -> None:
    """Set up logging of this process; called once, first, in `main`."""
    # in place: `redact_text` reads the same list
    _known_secrets[:] = _secrets_of(settings)
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())

    def add_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    # structlog's lines and those of the standard library's loggers get the same fields
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]
    renderer: list[Processor] = [
        structlog.processors.ExceptionRenderer(format_traceback),
        redact,
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    _configure_standard_loggers(handler, settings.log_level)
    sys.excepthook = _log_crash
    threading.excepthook = lambda args: _log_crash(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _configure_standard_loggers(handler: logging.Handler, level: str) -> None:
    """One handler for all: libraries write through the standard library's loggers."""
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for noisy in _VERBOSE:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    for loud in ("uvicorn", "uvicorn.error"):
        logging.getLogger(loud).handlers = []
        logging.getLogger(loud).propagate = True


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ends the process or a thread is a line like all others: Python's own way shows all messages."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error, trace)
        return
    get_logger(__name__).critical("crashed", exc_info=(kind, error, trace))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `name` is the module's `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bind_correlation(correlation_id: str, **fields: Any) -> Iterator[None]:  # noqa: ANN401 - log fields
    """Every log line inside carries `correlation_id` and `fields`."""
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **fields):
        yield
