"""An assistant whose conversation OpenAI (or a server that speaks its protocols) keeps.

OpenAI removed the Assistants API, for which this class was made, on 2026-08-26. What it did is done over
the Responses API now, or, where the operator says so, over the classic protocol (`openai_services`).
Every pair of user and assistant has one thread (UserAssistantThread). The turns in Redis stay the truth,
whatever the protocol: see `provider_threads`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import replace

from service_kit.contracts.assistants import ModelSettings
from service_kit.contracts.providers import DEFAULT_MODEL
from service_kit.logging import get_logger

from ..core.errors import BrokenRowError, UnknownProviderError
from ..core.model import ModelBackend, ToolCall, ToolSpec
from ..core.run_context import RunContext
from ..core.thread_backend import Definition, Identity
from ..tools.base import Arguments, BaseTool
from ..tools.wrappers import DoneCalls
from ..utils.text import compact_json
from .conversation_assistant import ConversationAssistant
from .dialogue import Dialogue
from .memory import Memory
from .openai_services import OpenAIServices
from .tool_loop import LoopLimits, ModelChoice, ToolLoop

log = get_logger(__name__)

NAME = "Assistant"


class OpenAIAssistant(ConversationAssistant):
    """Answers over a thread for each user, kept at the provider."""

    def __init__(  # noqa: PLR0917 - prescribed
        self,
        assistant_id: str | None = None,
        instructions: str | None = None,
        name: str | None = None,
        # the prescribed gpt-4-turbo-preview is gone since 2026-03-26; this is the operator's default model
        model: str = DEFAULT_MODEL,
        tools: Sequence[ToolSpec] | None = None,
        tool_instances: Sequence[BaseTool] | None = None,
        *,
        key: str,
        services: OpenAIServices,
        memory: Memory,
        limits: LoopLimits,
        settings: ModelSettings | None = None,
        done: DoneCalls | None = None,
    ) -> None:
        """An assistant from its parts.

        Args:
            assistant_id: its id at the provider (classic protocol); None: it is made there when needed.
            instructions: what it is told before every conversation.
            name: what it is called.
            model: `provider/model`, `model` of the default provider, or `default`.
            tools: names, descriptions and schemas for the model; None: the tools' own.
            tool_instances: the tools that carry calls out.
            key: its own id, under which conversations and threads are kept.
            services: what it shares with its like.
            memory: where its turns are kept.
            limits: of the tool loop.
            settings: of the model; fallback models are asked without a thread.
            done: calls of tools that the process has made; None: a memory of its own.

        Raises:
            BrokenRowError: `tools` names one that no instance carries out.
        """
        super().__init__(assistant_id=key, name=name or NAME, memory=memory)
        self.instructions = instructions or ""
        self.model = model
        self.tools = tuple(tool_instances or ())
        self._identity = Identity(key, self.name, assistant_id)
        self._services = services
        self._limits = limits
        self._done = done
        self._settings = settings or ModelSettings()
        self._loop = self._build_loop(_with_specs(self.tools, tools))

    async def update_assistant(
        self,
        tools: Sequence[ToolSpec] | None = None,
        instructions: str | None = None,
        model: str | None = None,
        name: str | None = None,
    ) -> None:
        """Change what is given, from the next message on; where the provider knows assistants, there too.

        Raises:
            BrokenRowError: `tools` names one that no instance carries out.
            ModelError: the provider did not take it; here it is changed all the same.
            UnknownProviderError: nobody configured the model's provider.
        """
        shown = self._loop.tools if tools is None else _with_specs(self.tools, tools)
        self.instructions = self.instructions if instructions is None else instructions
        self.model = model or self.model
        self.name = name or self.name
        self._identity = replace(self._identity, name=self.name)
        # a new loop: runs at work keep theirs, so that none changes its tools in the middle
        self._loop = self._build_loop(shown)
        target = self._services.resolver.resolve(self.model)
        backend = self._services.thread_backend(target.provider, self._identity)
        if backend is not None:
            specs = tuple(tool.spec for tool in shown)
            await backend.publish(Definition(target.model, self.instructions, specs))

    def _lock(self, user_id: int) -> AbstractAsyncContextManager[object]:
        return self._services.threads.lock(user_id, self.assistant_id)

    @asynccontextmanager
    async def _open_thread(self, user_id: int) -> AsyncIterator[ModelBackend | None]:
        dialogue = await self._dialogue(user_id)
        if dialogue is None:
            yield None
            return
        try:
            yield dialogue
        finally:
            if dialogue.provider_failed:
                self._services.cooldowns.begin(dialogue.name)
        # not after a failure: what the provider holds then is not known to be what we stored
        await dialogue.save_thread()

    async def _dialogue(self, user_id: int) -> Dialogue | None:
        """This run over the user's thread; None where no thread protocol is spoken."""
        services = self._services
        try:
            target = services.resolver.resolve(self.model)
        except UnknownProviderError as exc:
            log.warning("answering_without_thread", assistant=self.name, reason=str(exc))
            return None
        backend = services.thread_backend(target.provider, self._identity)
        # a thread would be refused with tools that the model does not take; without a thread it answers
        if backend is None or (self.tools and services.takes_no_tools(target.model)):
            return None
        return Dialogue(
            services.threads,
            backend,
            services.stateless,
            services.retrying,
            user_id=user_id,
            assistant_id=self.assistant_id,
            model=target.model,
            known=await services.threads.take(user_id, self.assistant_id),
            in_cooldown=services.cooldowns.has(target.name),
        )

    async def _execute_tool_call(
        self, function_name: str, arguments: str | Arguments, context: RunContext | None = None
    ) -> str:
        """What the model gets back from one call; a failure is text for the model, not an exception.

        `arguments` are a JSON object or its text. Without a context the call is nobody's.
        """
        text = arguments if isinstance(arguments, str) else compact_json(dict(arguments))
        call = ToolCall(id="call_0", name=function_name, arguments=text)
        return (await self._loop.call(call, context or RunContext.anonymous(0))).text

    def _build_loop(self, tools: Sequence[BaseTool]) -> ToolLoop:
        choice = ModelChoice(
            assistant_id=self.assistant_id,
            assistant=self.name,
            models=(self.model, *self._settings.fallback_models),
            instructions=self.instructions,
            temperature=self._settings.temperature,
            max_output_tokens=self._settings.max_output_tokens,
        )
        limits = replace(self._limits, rounds=self._settings.max_tool_rounds or self._limits.rounds)
        return ToolLoop(self._services.stateless, choice, tools, limits, self._done)


def _with_spec(tool: BaseTool, spec: ToolSpec) -> BaseTool:
    """The same tool under another description and schema."""
    other = copy(tool)
    BaseTool.__init__(
        other, name=tool.name, description=spec.description, schema=spec.schema, timeout=tool.timeout
    )
    return other


def _with_specs(instances: Sequence[BaseTool], specs: Sequence[ToolSpec] | None) -> tuple[BaseTool, ...]:
    """The tools under the descriptions and schemas in `specs`.

    Raises:
        BrokenRowError: no tool has a name in `specs`.
    """
    if specs is None:
        return tuple(instances)
    by_name = {tool.name: tool for tool in instances}
    missing = sorted(spec.name for spec in specs if spec.name not in by_name)
    if missing:
        msg = f"no tool carries out {', '.join(missing)}"
        raise BrokenRowError(msg)
    return tuple(
        by_name[spec.name] if by_name[spec.name].spec == spec else _with_spec(by_name[spec.name], spec)
        for spec in specs
    )
