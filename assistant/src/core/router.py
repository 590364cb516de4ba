"""From a model's name to an answer: which provider, how often, and which model instead.

A failure is retried as `retry` says. A refusal is never repeated, but the next model may take it; a
conversation that is too long is the caller's to shorten, whatever the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service_kit.logging import get_logger

from .errors import (
    ContextOverflowError,
    ModelError,
    ModelRefusedError,
    UnknownProviderError,
)
from .model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from .retry import Retrying

log = get_logger(__name__)

DEFAULT_MODEL = "default"


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


class ModelRouter:
    """Implements `ModelBackend` over all providers; tries `request.models` in order."""

    def __init__(self, resolver: ModelResolver, retrying: Retrying) -> None:
        self._resolver = resolver
        self._retrying = retrying

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
        answer = await self._retrying(
            lambda: target.backend.complete(request, on_text=on_text),
            provider=target.provider,
            model=target.model,
        )
        return replace(answer, model=f"{target.provider}/{target.model}")
