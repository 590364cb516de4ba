"""From a model's name to an answer: which provider, how often, and which model instead.

Retries: ModelUnavailableError only, with exponential backoff and full jitter, or after as long as
the provider asked for. A wait above MAX_WAIT is not waited: the next fallback model, or the friendly
sentence, serves the user better. A refusal is never repeated, but the next model may take it; a
conversation that is too long is the caller's to shorten, whatever the model.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from service_kit.logging import get_logger

from .errors import (
    ContextOverflowError,
    ModelError,
    ModelRefusedError,
    ModelUnavailableError,
    UnknownProviderError,
)
from .model import ModelAnswer, ModelBackend, ModelRequest, TextSink

log = get_logger(__name__)

DEFAULT_MODEL = "default"
MAX_WAIT = 20.0
"""Seconds between two attempts, at most."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Whom to ask, and for what."""

    backend: ModelBackend
    provider: str
    model: str
    """The provider's own name of the model."""


class ModelResolver:
    """Knows the providers by name. A bare model name means the default provider."""

    def __init__(
        self, providers: Mapping[str, ModelBackend], *, default_provider: str, default_model: str
    ) -> None:
        self._providers = dict(providers)
        self._default_provider = default_provider
        self._default_model = default_model

    def resolve(self, name: str) -> ResolvedModel:
        """What `provider/model`, `model` or `default` stands for.

        Raises:
            UnknownProviderError: nobody configured that provider.
        """
        wanted = self._default_model if name == DEFAULT_MODEL else name
        provider, slash, model = wanted.partition("/")
        if not slash:
            provider, model = self._default_provider, wanted
        backend = self._providers.get(provider)
        if backend is None or not model:
            known = ", ".join(sorted(self._providers))
            msg = f"model {name!r}: there is no provider {provider!r}; known: {known}"
            raise UnknownProviderError(msg)
        return ResolvedModel(backend, provider, model)


def full_jitter(attempt: int) -> float:
    """Seconds before the attempt after `attempt` (from 0): up to 1, 2, 4, 8, never under 0.1."""
    return 0.1 + random.random() * min(8.0, 2.0**attempt)  # noqa: S311 - jitter, not a secret


class ModelRouter:
    """Implements `ModelBackend` over all providers; tries `request.models` in order."""

    def __init__(
        self,
        resolver: ModelResolver,
        *,
        attempts: int = 3,
        backoff: Callable[[int], float] = full_jitter,
    ) -> None:
        self._resolver = resolver
        self._attempts = attempts
        self._backoff = backoff

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The first answer that any of the models gives; raises as `ModelBackend.complete`."""
        last: ModelError | UnknownProviderError | None = None
        for name in request.models:
            if last is not None:
                log.warning("fallback_model", model=name, reason=str(last))
            try:
                target = self._resolver.resolve(name)
                asked = replace(request, models=(target.model,))
                return await self._persistently(target, asked, on_text)
            except ContextOverflowError:
                raise
            except (ModelError, UnknownProviderError) as exc:
                last = exc
        if last is None:
            msg = "no model is named"
            raise ModelRefusedError(msg)
        raise last

    async def _persistently(
        self, target: ResolvedModel, request: ModelRequest, on_text: TextSink | None
    ) -> ModelAnswer:
        for attempt in range(self._attempts):
            try:
                return await target.backend.complete(request, on_text=on_text)
            except ModelUnavailableError as exc:
                wait = self._backoff(attempt) if exc.retry_after is None else exc.retry_after
                if attempt == self._attempts - 1 or wait > MAX_WAIT:
                    raise
                log.info(
                    "model_retry",
                    provider=target.provider,
                    model=target.model,
                    attempt=attempt + 1,
                    wait_s=round(wait, 2),
                    reason=str(exc),
                )
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises
