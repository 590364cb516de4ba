"""Models and their tools: what a model refuses is asked again in another way, and that is remembered.

The tool loop above notices nothing: history, streaming and usage go on whatever the way. Where a model takes
no tools at all it answers without them, which is better than no answer; the operator is told.
"""

from dataclasses import replace

from service_kit.logging import get_logger

from ..chat.backend import ChatCompletionsBackend
from ..errors import ToolsRefusedError
from ..model import ModelAnswer, ModelBackend, ModelRequest, TextSink
from ..providers.provider import Provider
from ..providers.quirks import Quirks
from ..tools_way import ToolsWay, tools_way
from .responses_or_chat import ResponsesOrChat

log = get_logger(__name__)

ADVICE = "a model that calls tools, or a server that was started to let it"


class ToolsBackend:
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
        known = self._known_way(request)
        ways, reason = [known], ""
        for way in ways:  # grows while it is gone through
            try:
                answer = await self._ask(way, request, on_text)
            except ToolsRefusedError as exc:
                reason = str(exc)
                further = (*exc.ways, ToolsWay.LEFT_OUT) if request.tools else exc.ways
                ways += [other for other in further if self._is_new(other, ways)]
                if way is ways[-1]:
                    raise
                continue
            left_out = way is ToolsWay.LEFT_OUT
            # a refusal of a request that forbids to call them may be one of that alone
            if way is not known and not (left_out and request.tool_choice == "none"):
                self._learn(model, way, reason)
            return replace(answer, without_tools=left_out)
        raise AssertionError

    def _known_way(self, request: ModelRequest) -> ToolsWay:
        """The way that was learned, or that the name of the model tells."""
        model = request.models[0]
        way = self._provider.ways.of(model) or (tools_way(model) if request.tools else ToolsWay.AS_USUAL)
        if way is ToolsWay.RESPONSES:
            # without them Chat Completions adds by the model's name what it needs there
            return way if self._responses is not None else ToolsWay.AS_USUAL
        return way if request.tools else ToolsWay.AS_USUAL

    def _is_new(self, way: ToolsWay, ways: list[ToolsWay]) -> bool:
        return way not in ways and (way is not ToolsWay.RESPONSES or self._responses is not None)

    async def _ask(self, way: ToolsWay, request: ModelRequest, on_text: TextSink | None) -> ModelAnswer:
        match way:
            case ToolsWay.RESPONSES if self._responses is not None:
                return await self._responses.complete(request, on_text=on_text)
            case ToolsWay.WITHOUT_REASONING:
                request = replace(request, reasoning_effort="none")
            case ToolsWay.LEFT_OUT:
                request = replace(request, tools=(), tool_choice="auto")
        return await self._usual.complete(request, on_text=on_text)

    def _learn(self, model: str, way: ToolsWay, reason: str) -> None:
        provider = self._provider.name
        self._provider.ways.learn(model, way)
        if way is ToolsWay.LEFT_OUT:
            log.warning("model_takes_no_tools", provider=provider, model=model, reason=reason, advice=ADVICE)
        else:
            log.info("tools_way_learned", provider=provider, model=model, way=way, reason=reason)


def chat_backend(provider: Provider, quirks: Quirks) -> ToolsBackend:
    """Chat Completions at one provider, for `llm` assistants."""
    chat = ChatCompletionsBackend(provider, quirks)
    responses = ResponsesOrChat(provider, chat, strict=quirks.strict_tools)
    return ToolsBackend(provider, chat, responses=responses)
