"""One run over a conversation that the provider keeps, as a model backend for the tool loop.

The loop hands over the whole history each time, as to any backend. The dialogue knows which part of it
the conversation holds, and sends the rest. Where the conversation holds something else, is lost or is
stuck, it makes a new one out of the history and goes on: nobody above it notices. Where no conversation
is to be had, or a new one is of no use, or its provider fails, the stateless backend answers for the rest
of the run.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from service_kit.errors import KitError
from service_kit.logging import get_logger

from ..core import metrics
from ..core.errors import (
    BadAnswerError,
    ContextOverflowError,
    ModelError,
    ModelRefusedError,
    ModelUnavailableError,
    ThreadLostError,
    ToolsRefusedError,
)
from ..core.model import (
    AssistantMessage,
    Message,
    ModelAnswer,
    ModelBackend,
    ModelRequest,
    TextSink,
    UserMessage,
)
from ..core.providers.refusals import is_unknown_path
from ..core.routing.retry import Retrying, share_of_time, was_hurried
from ..core.routing.router import IN_COOLDOWN
from ..core.thread_backend import ThreadBackend
from ..storage.provider_threads import KnownThread, ProviderThreads, digest_of

log = get_logger(__name__)

LOCK_TRIES = 2
"""How often a conversation may be found locked before another is made."""
_LOCKED = "conversation_locked"


class NoThreadError(Exception):
    """No conversation can be made; the stateless backend answers.

    `unsupported`: the server may not know what conversations are.
    """

    def __init__(self, reason: str, *, unsupported: bool = False) -> None:
        super().__init__(reason)
        self.unsupported = unsupported


class Dialogue:
    """Implements `ModelBackend` for one run of one assistant with one user.

    `known` is what was taken of the pair's conversation; where the model is `in_cooldown`, the fallback
    models answer without one, if there are any.
    """

    def __init__(
        self,
        threads: ProviderThreads,
        backend: ThreadBackend,
        stateless: ModelBackend,
        retrying: Retrying,
        *,
        user_id: int,
        assistant_id: str,
        model: str,
        known: KnownThread | None,
        in_cooldown: bool = False,
    ) -> None:
        self._threads = threads
        self._backend = backend
        self._stateless = stateless
        self._retrying = retrying
        self._pair = (user_id, assistant_id)
        self._model = model
        self._known = known
        self._thread_messages: tuple[Message, ...] | None = None
        """What the conversation holds, without `_last_answer`; None: not compared with the history yet."""
        self._last_answer: ModelAnswer | None = None
        """What the model said in it last."""
        self._is_new = False
        """Whether it was made in this run, and the model has not answered in it yet."""
        self._lock_failures = 0
        self._in_cooldown = in_cooldown
        self._stateless_models: tuple[str, ...] = ()
        """The models that the stateless backend asks for the rest of the run; empty: none."""
        self.provider_failed = False
        """Whether a fallback model took over for a reason that other conversations will meet too."""

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer; raises as `ModelBackend.complete`."""
        if self._in_cooldown and not self._stateless_models and len(request.models) > 1:
            self._fall_back(request, IN_COOLDOWN)
        unsupported = ""
        if not self._stateless_models:
            share = share_of_time(request.deadline, len(request.models))
            try:
                return await self._retrying(
                    partial(self._attempt, request, on_text),
                    provider=self._backend.provider,
                    model=self._model,
                    alone=len(request.models) == 1,
                    within=share,
                    repeat_bad_answers=request.repeat_bad_answers,
                )
            except ContextOverflowError:
                raise
            except NoThreadError as exc:
                log.warning("answering_without_thread", reason=str(exc))
                self._stateless_models = request.models
                unsupported = str(exc) if exc.unsupported else ""
            except ModelError as exc:
                if len(request.models) == 1:
                    raise
                self._fall_back(request, str(exc))
                self.provider_failed = _is_provider_failure(exc) and not was_hurried(exc, share)
            self._known = None
        answer = await self._stateless.complete(
            replace(request, models=self._stateless_models), on_text=on_text
        )
        if unsupported and answer.model.startswith(f"{self._backend.provider}/"):
            self._backend.mark_unsupported(unsupported)  # it answers: so it is no gateway with nobody behind
        return answer

    @property
    def name(self) -> str:
        """`provider/model`, of the model that answers in the conversation."""
        return f"{self._backend.provider}/{self._model}"

    def _fall_back(self, request: ModelRequest, reason: str) -> None:
        """The models after the first answer for the rest of the run."""
        following = request.models[1]
        log.warning("fallback_model", model=following, failed=self.name, reason=reason)
        metrics.count_fallback(following)
        self._stateless_models = request.models[1:]

    async def save_thread(self) -> None:
        """Let the next run continue the conversation; called when this run's turn is stored."""
        if self._known is None or self._thread_messages is None or self._last_answer is None:
            return
        if self._last_answer.tool_calls:
            # nobody will answer these calls, and the provider refuses a conversation with an open call
            return
        messages = (*self._thread_messages, AssistantMessage(self._last_answer.text))
        known = replace(self._known, held=len(messages), digest=digest_of(messages))
        await self._threads.save(*self._pair, known)

    async def _attempt(self, request: ModelRequest, on_text: TextSink | None) -> ModelAnswer:
        asked = replace(request, models=(self._model,))
        messages = tuple(request.messages)
        while True:
            known, new = await self._conversation(messages)
            run = self._last_answer.opaque if self._last_answer else ""
            try:
                answer = await self._backend.ask(known.thread_id, asked, new, run=run, on_text=on_text)
            except ThreadLostError as exc:
                log.warning("thread_lost", thread_id=known.thread_id, reason=str(exc))
                if self._is_new:
                    # a new conversation fails in the same way: something in the request is unknown there
                    raise NoThreadError(str(exc)) from exc
                self._known = None
                continue
            except ToolsRefusedError as exc:
                raise NoThreadError(str(exc)) from exc  # without a thread it may answer without tools
            except ModelError as exc:
                if not self._is_untouched(exc):
                    self._known = None
                raise
            self._thread_messages, self._last_answer, self._is_new = messages, answer, False
            return answer

    def _is_untouched(self, exc: ModelError) -> bool:
        """Whether the conversation is as it was: else another try would say the same things twice."""
        if exc.code == _LOCKED:
            self._lock_failures += 1
            return self._lock_failures < LOCK_TRIES
        return exc.status == 429

    async def _conversation(self, messages: tuple[Message, ...]) -> tuple[KnownThread, Sequence[Message]]:
        """A conversation that holds the beginning of `messages`, and the rest of them."""
        if self._known is not None and (new := self._missing_messages(self._known, messages)):
            return self._known, new
        # earlier turns are given at creation; the run's own messages are the question
        start = max(number for number, message in enumerate(messages) if isinstance(message, UserMessage))
        self._known = await self._new_conversation(messages[:start])
        self._thread_messages, self._last_answer, self._is_new = messages[:start], None, True
        return self._known, messages[start:]

    def _missing_messages(self, known: KnownThread, messages: tuple[Message, ...]) -> Sequence[Message]:
        """What of `messages` the conversation lacks; nothing where it holds something else."""
        if self._thread_messages is None:
            if not known.holds(messages):
                return ()
            self._thread_messages = messages[: known.held]
        count = len(self._thread_messages)
        if messages[:count] != self._thread_messages:
            return ()
        if self._last_answer is None:
            return messages[count:]
        calls = {call.id for call in self._last_answer.tool_calls}
        match messages[count : count + 1]:
            case (AssistantMessage(tool_calls=made),) if calls and {call.id for call in made} == calls:
                return messages[count + 1 :]
        return ()

    async def _new_conversation(self, history: Sequence[Message]) -> KnownThread:
        try:
            row = await self._threads.create(
                *self._pair, create=lambda: self._backend.create(history), delete=self._backend.delete
            )
        except ContextOverflowError:
            raise
        except ModelRefusedError as exc:
            raise NoThreadError(str(exc), unsupported=is_unknown_path(exc)) from exc
        except KitError as exc:
            raise NoThreadError(str(exc)) from exc
        touched = row.last_used.timestamp() if row.last_used else 0.0
        return KnownThread(row.id, row.thread_id, held=0, digest="", touched=touched)


def _is_provider_failure(failure: ModelError) -> bool:
    """Whether others will meet it too; a bad answer or a locked conversation may be this one's fault."""
    mine = isinstance(failure, BadAnswerError) or failure.code == _LOCKED
    return isinstance(failure, ModelUnavailableError) and not mine
