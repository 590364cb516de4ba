"""What the service counts of itself, for Prometheus: `GET /metrics` on the health port.

Whoever does the work calls one function for what happened; names, labels and buckets are here. The
numbers are this process's: replicas are told apart by their address. Labels are few (what rows and
settings name; a tool that a model invents is `unknown`), and the child of a set of labels is looked up
once, so that an observation costs a few microseconds and may stand on the hot path.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    GC_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from .errors import ContextOverflowError, ModelError, ModelUnavailableError
from .model import Usage

PATH = "/metrics"
CHILDREN = 1000
"""Sets of labels of one metric whose child is kept at hand."""

_LONG = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_SHORT = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_registry = CollectorRegistry()
_registry.register(PROCESS_COLLECTOR)
_registry.register(GC_COLLECTOR)
_messages = Histogram(
    "assistant_message_seconds",
    "Messages by outcome, and how long they took.",
    ["outcome"],
    buckets=_LONG,
    registry=_registry,
)
_running = Gauge("assistant_messages_running", "Messages that are being answered.", registry=_registry)
_model_calls = Histogram(
    "assistant_model_call_seconds",
    "Calls of models, each attempt one, and how long they took.",
    ["provider", "model", "outcome"],
    buckets=_LONG,
    registry=_registry,
)
_tokens = Counter(
    "assistant_model_tokens",
    "Tokens by model; the cached ones are part of the input.",
    ["provider", "model", "kind"],
    registry=_registry,
)
_retries = Counter(
    "assistant_model_retries",
    "Further attempts at the same model.",
    ["provider", "model"],
    registry=_registry,
)
_fallbacks = Counter(
    "assistant_model_fallbacks",
    "Requests that went on to this model because the one before it failed.",
    ["model"],
    registry=_registry,
)
_tool_calls = Histogram(
    "assistant_tool_call_seconds",
    "Calls of tools, and how long they took.",
    ["tool", "outcome"],
    buckets=_SHORT,
    registry=_registry,
)
_left_out = Gauge(
    "assistant_configuration_left_out",
    "Branches of the configuration in use that cannot be built: tools, sub-assistants, secretaries.",
    registry=_registry,
)
_usage = Counter(
    "assistant_usage_records", "Records of use, by what became of them.", ["fate"], registry=_registry
)


class MessageOutcome(StrEnum):
    """How a message ended."""

    ANSWERED = "answered"
    RESET = "reset"
    FAILED = "failed"
    """A friendly sentence instead of an answer."""
    WAITS = "waits"
    """Back to the queue: a part of the suite is away, or the service stops."""
    REJECTED = "rejected"
    """Dead letters: no message, of nobody we know, or one that meets the same bug again and again."""
    BROKEN = "broken"
    """A bug."""


class ModelOutcome(StrEnum):
    """How one attempt at a model ended."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    TOO_LONG = "too_long"
    CANCELLED = "cancelled"
    """The message's time was over, or the service stops."""


class UsageFate(StrEnum):
    """What became of a record of use."""

    STORED = "stored"
    REFUSED = "refused"
    """rest_service will never take it."""
    DROPPED = "dropped"
    """Too many wait."""


def render_page() -> tuple[str, bytes]:
    """Content type and text of `/metrics`."""
    return CONTENT_TYPE_LATEST, generate_latest(_registry)


@dataclass(slots=True)
class MessageMeasurement:
    """A message at work; whoever knows how it ends says so."""

    outcome: MessageOutcome = MessageOutcome.BROKEN


@contextmanager
def measure_message() -> Iterator[MessageMeasurement]:
    """Around everything that is done for one message."""
    measurement = MessageMeasurement()
    started = time.perf_counter()
    _running.inc()
    try:
        yield measurement
    finally:
        _running.dec()
        _message(measurement.outcome).observe(time.perf_counter() - started)


@dataclass(slots=True)
class ModelCallMeasurement:
    """One attempt at a model; whoever gets the answer notes what it used."""

    usage: Usage | None = None


@contextmanager
def measure_model_call(provider: str, model: str) -> Iterator[ModelCallMeasurement]:
    """Around one attempt; `model` is the provider's own name of it."""
    call = ModelCallMeasurement()
    outcome = ModelOutcome.CANCELLED
    started = time.perf_counter()
    try:
        yield call
        outcome = ModelOutcome.OK
    except ModelError as exc:
        outcome = _failure(exc)
        raise
    finally:
        _model_call(provider, model, outcome).observe(time.perf_counter() - started)
        if call.usage is not None:
            given, cached, output = _token_kinds(provider, model)
            given.inc(call.usage.input_tokens)
            cached.inc(call.usage.cached_tokens)
            output.inc(call.usage.output_tokens)


def count_retry(provider: str, model: str) -> None:
    """The same model is asked once more."""
    _retries.labels(provider, model).inc()


def count_fallback(model: str) -> None:
    """The next of a row's models is asked: this one."""
    _fallbacks.labels(model).inc()


def observe_tool_call(tool: str, outcome: str, seconds: float) -> None:
    """One call of a tool has ended; `tool` is a name that the configuration knows, or `unknown`."""
    _tool_call(tool, outcome).observe(seconds)


def set_left_out(left_out: int) -> None:
    """A configuration is in use from now on, without so many of its branches."""
    _left_out.set(left_out)


def count_usage_records(fate: UsageFate, count: int) -> None:
    """So many records of use ended like this."""
    _usage.labels(fate).inc(count)


def _failure(error: ModelError) -> ModelOutcome:
    match error:
        case ModelUnavailableError():
            return ModelOutcome.UNAVAILABLE
        case ContextOverflowError():
            return ModelOutcome.TOO_LONG
        case _:
            return ModelOutcome.REFUSED


@lru_cache(CHILDREN)
def _message(outcome: MessageOutcome) -> Histogram:
    return _messages.labels(outcome)


@lru_cache(CHILDREN)
def _model_call(provider: str, model: str, outcome: ModelOutcome) -> Histogram:
    return _model_calls.labels(provider, model, outcome)


@lru_cache(CHILDREN)
def _token_kinds(provider: str, model: str) -> tuple[Counter, Counter, Counter]:
    return (
        _tokens.labels(provider, model, "input"),
        _tokens.labels(provider, model, "cached"),
        _tokens.labels(provider, model, "output"),
    )


@lru_cache(CHILDREN)
def _tool_call(tool: str, outcome: str) -> Histogram:
    return _tool_calls.labels(tool, outcome)
