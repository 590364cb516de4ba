"""Which provider answers for a model's name, and which model instead.

`retry` retries failures of one model. A refusal is never repeated, but the next model may take the request. A
conversation that is too long is the caller's to shorten, whatever the model. While other models follow, a
model gets its share of the time until the request's deadline, and no second attempt after a timeout. A model
that used up its attempts has a COOLDOWN: meanwhile, messages go to the next at once. Where all have failed,
those whose failure may pass are asked again, round after round, while the message has time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from typing import TypeGuard

from service_kit.contracts.providers import ModelProviders
from service_kit.logging import get_logger

from .. import metrics
from ..errors import (
    BadAnswerError,
    ContextOverflowError,
    CutAnswerError,
    ModelError,
    ModelRefusedError,
    ModelTimeoutError,
    ModelUnavailableError,
    NobodyListensError,
    UnknownProviderError,
)
from ..model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from .retry import Retrying, has_waited_enough, share_of_time, was_hurried

log = get_logger(__name__)

COOLDOWN = 15.0
"""Seconds in which a model that used up its attempts is not asked."""
IN_COOLDOWN = "it failed a moment ago and is in its cooldown"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Whom to ask, and for what."""

    backend: ModelBackend
    provider: str
    model: str
    """The provider's own name of the model."""

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


class ModelResolver:
    """Knows the providers by name. A bare model name means the default provider.

    `lacking` says what providers that are known but not set up need first; `window_of` knows the
    context windows by provider and model.
    """

    def __init__(
        self,
        backends: Mapping[str, ModelBackend],
        *,
        default_provider: str,
        default_model: str,
        lacking: Mapping[str, str] | None = None,
        window_of: Callable[[str, str], int | None] = lambda _provider, _model: None,
    ) -> None:
        self._backends = dict(backends)
        self._window_of = window_of
        self.providers = ModelProviders(
            default=default_provider,
            default_model=default_model,
            usable=tuple(self._backends),
            lacking=dict(lacking or {}),
        )

    def resolve(self, name: str) -> ResolvedModel:
        """What `provider/model`, `model` or `default` stands for; only the first slash parts.

        Raises:
            UnknownProviderError: nobody configured that provider.
        """
        if (complaint := self.providers.complaint(name)) is not None:
            error = UnknownProviderError(complaint)
            error.model = name
            raise error
        provider, model = self.providers.parts(name)
        return ResolvedModel(self._backends[provider], provider, model)

    def context_tokens(self, name: str) -> int | None:
        """Tokens that the model takes, its answer included; None: not known.

        Raises:
            UnknownProviderError: nobody configured the provider.
        """
        target = self.resolve(name)
        return self._window_of(target.provider, target.model)


class ModelCooldowns:
    """Which models are in their cooldown, by `provider/model`; one for the process."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        """On the event loop's clock."""

    def begin(self, model: str) -> None:
        """The model's cooldown begins now."""
        self._until[model] = asyncio.get_running_loop().time() + COOLDOWN

    def end(self, model: str) -> None:
        """The model answers again."""
        self._until.pop(model, None)

    def has(self, model: str) -> bool:
        """Whether the model is in its cooldown."""
        return self._until.get(model, 0.0) > asyncio.get_running_loop().time()


class ModelRouter:
    """Implements `ModelBackend` over all providers; tries `request.models` in order."""

    def __init__(
        self, resolver: ModelResolver, retrying: Retrying, cooldowns: ModelCooldowns | None = None
    ) -> None:
        self._resolver = resolver
        self._retrying = retrying
        self._cooldowns = cooldowns or ModelCooldowns()

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The first answer that any of the models gives; raises as `ModelBackend.complete`."""
        failure: ModelError | UnknownProviderError = ModelRefusedError("no model is named")
        targets: list[ResolvedModel] = []
        for name in request.models:
            try:
                targets.append(self._resolver.resolve(name))
            except UnknownProviderError as exc:
                failure = exc
                log.warning("model_left_out", model=name, reason=str(exc))
        began = asyncio.get_running_loop().time()
        for rounds in count(1):
            ready, alone, wait = self._skip_cooldowns(targets), len(targets) == 1, inf
            for number, target in enumerate(ready, 1):
                following = len(ready) - number
                try:
                    return await self._ask(target, request, on_text, following=following, alone=alone)
                except ContextOverflowError:
                    raise  # the caller shortens the conversation, then the first model may answer
                except ModelError as exc:
                    failure = exc
                    # a model alone has had all the time in its own attempts
                    if alone or not _is_worth_a_round(exc, began):
                        targets.remove(target)
                    else:
                        wait = min(wait, self._retrying.wait_after(exc, rounds))
                if following:
                    _fall_back(ready[number], failed=target, reason=str(failure))
            if not targets or not await _wait_for_round(0.0 if wait == inf else wait, request.deadline):
                break
        raise failure

    def _skip_cooldowns(self, targets: list[ResolvedModel]) -> list[ResolvedModel]:
        """The models without those in their cooldown; all of them where all are (a copy)."""
        ready = [target for target in targets if not self._cooldowns.has(target.name)]
        if ready and ready[0] is not targets[0]:
            _fall_back(ready[0], failed=targets[0], reason=IN_COOLDOWN)
        return ready or list(targets)

    async def _ask(
        self,
        target: ResolvedModel,
        request: ModelRequest,
        on_text: TextSink | None,
        *,
        following: int,
        alone: bool,
    ) -> ModelAnswer:
        asked = replace(request, models=(target.model,))
        share = share_of_time(request.deadline, following + 1)
        try:
            answer = await self._retrying(
                _attempt(target.backend, asked, on_text),
                provider=target.provider,
                model=target.model,
                alone=alone,
                within=share,
                repeat_bad_answers=request.repeat_bad_answers,
            )
        except BadAnswerError:
            raise  # it may be this conversation's fault
        except ModelUnavailableError as exc:
            # too little time is not the model's fault
            if not was_hurried(exc, share):
                self._cooldowns.begin(target.name)
            raise
        self._cooldowns.end(target.name)
        return answer


def _attempt(
    backend: ModelBackend, request: ModelRequest, on_text: TextSink | None
) -> Callable[[], Awaitable[ModelAnswer]]:
    """An attempt to be made again; not streamed after a cut one, for some servers never end their streams."""
    sink = on_text

    async def attempt() -> ModelAnswer:
        nonlocal sink
        try:
            return await backend.complete(request, on_text=sink)
        except CutAnswerError:
            sink = None
            raise

    return attempt


def _is_worth_a_round(failure: ModelError, began: float) -> TypeGuard[ModelUnavailableError]:
    """Whether the model is asked once more, after all of its attempts in this round."""
    if isinstance(failure, NobodyListensError) and has_waited_enough(began):
        return False
    return isinstance(failure, ModelUnavailableError) and not isinstance(
        failure, ModelTimeoutError | BadAnswerError
    )


async def _wait_for_round(seconds: float, deadline: float | None) -> bool:
    """Waits before another round; whether there is time for one."""
    share = share_of_time(deadline, 1)
    if share is None or seconds >= share:
        return False
    await asyncio.sleep(seconds)
    return True


def _fall_back(following: ResolvedModel, *, failed: ResolvedModel, reason: str) -> None:
    log.warning(
        "fallback_model",
        provider=following.provider,
        model=following.model,
        failed=failed.name,
        reason=reason,
    )
    metrics.count_fallback(following.name)
