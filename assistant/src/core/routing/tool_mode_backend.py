"""Models and their tools: what a model refuses is asked again in another mode, and that is remembered.

The tool loop above notices nothing: history, streaming and usage go on whatever the mode. Where a model takes
no tools at all it answers without them, which is better than no answer; a warning goes to the operator.
"""

from dataclasses import replace

from service_kit.logging import get_logger

from ..chat.backend import ChatCompletionsBackend
from ..errors import ToolsRefusedError
from ..model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from ..providers.provider import Provider
from ..providers.quirks import Quirks
from ..tool_mode import ToolMode, tool_mode_of
from .responses_or_chat import ResponsesOrChat

log = get_logger(__name__)

ADVICE = "a model that calls tools, or a server that was started to let it"


class ToolModeBackend:
    """Implements `ModelBackend` for one provider: `usual`, and `responses` for tools that go only there."""

    def __init__(
        self, provider: Provider, usual: ModelBackend, *, responses: ModelBackend | None = None
    ) -> None:
        self._provider = provider
        self._usual = usual
        self._responses = responses

    async def complete(self, request: ModelRequest, *, on_text: TextSink | None = None) -> ModelAnswer:
        """The answer to one attempt; raises as `ModelBackend.complete`."""
        model = request.models[0]
        known = self._find_mode(request)
        modes, reason = [known], ""
        for mode in modes:  # grows while it is gone through
            try:
                answer = await self._ask(mode, request, on_text)
            except ToolsRefusedError as exc:
                reason = str(exc)
                further = (*exc.modes, ToolMode.OMITTED) if request.tools else exc.modes
                modes += [other for other in further if self._is_new(other, modes)]
                if mode is modes[-1]:
                    raise
                continue
            left_out = mode is ToolMode.OMITTED
            # a refusal of a request that forbids to call them may be one of that alone
            if mode is not known and not (left_out and request.tool_choice == "none"):
                self._learn(model, mode, reason)
            return replace(answer, without_tools=left_out)
        raise AssertionError

    def _find_mode(self, request: ModelRequest) -> ToolMode:
        """The mode that was learned, or that the name of the model tells."""
        model = request.models[0]
        by_name = tool_mode_of(model) if request.tools else ToolMode.DEFAULT
        mode = self._provider.tool_modes.of(model) or by_name
        if mode is ToolMode.RESPONSES:
            # without them Chat Completions adds by the model's name what it needs there
            return mode if self._responses is not None else ToolMode.DEFAULT
        return mode if request.tools else ToolMode.DEFAULT

    def _is_new(self, mode: ToolMode, modes: list[ToolMode]) -> bool:
        return mode not in modes and (mode is not ToolMode.RESPONSES or self._responses is not None)

    async def _ask(self, mode: ToolMode, request: ModelRequest, on_text: TextSink | None) -> ModelAnswer:
        match mode:
            case ToolMode.RESPONSES if self._responses is not None:
                return await self._responses.complete(request, on_text=on_text)
            case ToolMode.WITHOUT_REASONING:
                request = replace(request, reasoning_effort="none")
            case ToolMode.OMITTED:
                request = replace(request, tools=(), tool_choice="auto")
        return await self._usual.complete(request, on_text=on_text)

    def _learn(self, model: str, mode: ToolMode, reason: str) -> None:
        provider = self._provider.name
        self._provider.tool_modes.learn(model, mode)
        if mode is ToolMode.OMITTED:
            log.warning("model_takes_no_tools", provider=provider, model=model, reason=reason, advice=ADVICE)
        else:
            log.info("tool_mode_learned", provider=provider, model=model, mode=mode, reason=reason)


def chat_backend(provider: Provider, quirks: Quirks) -> ToolModeBackend:
    """Chat Completions at one provider, for `llm` assistants."""
    chat = ChatCompletionsBackend(provider, quirks)
    responses = ResponsesOrChat(provider, chat, strict=quirks.strict_tools)
    return ToolModeBackend(provider, chat, responses=responses)
