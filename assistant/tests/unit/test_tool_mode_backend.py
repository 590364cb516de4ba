"""How models get their tools: by their names' generation, and by what servers say."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from assistant.src.assistants.openai_services import stateless_backends
from assistant.src.assistants.tool_loop import LoopLimits, ModelChoice, ToolLoop
from assistant.src.core import tool_mode
from assistant.src.core.chat.request import request_body
from assistant.src.core.errors import ModelUnavailableError, ToolsRefusedError
from assistant.src.core.model import ModelRequest, ToolSpec, Usage, UserMessage
from assistant.src.core.providers import learned
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.providers.quirks import Quirks
from assistant.src.core.providers.refusals import classify_refusal
from assistant.src.core.routing.tool_mode_backend import ToolModeBackend, chat_backend
from assistant.src.core.thread_backend import OpenAIProtocol
from assistant.src.core.tool_mode import ToolMode
from assistant.tests.fakes import FunctionTool, context_of
from assistant.tests.openai_standin import OpenAIStandIn, Says, calls
from assistant.tests.standin import Reply, Request, chunk, completion, error, events

TOOLS = (ToolSpec("now", "tells the time", {"type": "object", "properties": {}}),)
EFFORT = error(
    400,
    message="Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. "
    "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
)
NO_NONE = error(400, message="Unsupported value: 'reasoning_effort' does not support 'none' with this model.")
ONLY_THERE = error(
    404, message="This model is only supported in v1/responses and not in v1/chat/completions."
)
NO_TOOLS = error(400, message="model does not support tools")
NOT_FOUND = error(404, message="Invalid URL (POST /v1/responses)")


class Server(OpenAIStandIn):
    """Speaks Responses; its Chat Completions are as `chat` says, which gets each body."""

    def __init__(self, chat: Callable[[dict[str, Any]], Reply], *steps: Says, responses: bool = True) -> None:
        super().__init__(*(steps or (Says("Hello"),)))
        self.chats: list[dict[str, Any]] = []
        self.missing: list[str] = []
        self._chat = chat
        self._has_responses = responses

    def respond(self, request: Request) -> Reply:
        if request.target.endswith("/chat/completions"):
            self.chats.append(json.loads(request.body))
            return self._chat(self.chats[-1])
        if not self._has_responses:
            self.missing.append(request.target)
            return NOT_FOUND
        return super().respond(request)


@asynccontextmanager
async def provider_at(server: Server) -> AsyncIterator[Provider]:
    timeouts = Timeouts(connect=10, first_token=30, stall=30, whole=30)
    async with server, aclosing(Provider("openai", base_url=server.url, timeouts=timeouts)) as provider:
        yield provider


def asking(model: str = "m", *, tools: tuple[ToolSpec, ...] = TOOLS) -> ModelRequest:
    return ModelRequest(models=(model,), instructions="x", messages=[UserMessage("Hi")], tools=tools)


def takes(**wanted: Any) -> Callable[[dict[str, Any]], Reply]:
    """Answers requests with tools only if these fields are as they should be; else with `refusal`."""
    refused = wanted.pop("refusal")

    def chat(body: dict[str, Any]) -> Reply:
        fits = "tools" not in body or (wanted and all(body.get(name) == wanted[name] for name in wanted))
        return completion("Hello") if fits else refused

    return chat


@pytest.mark.parametrize(
    ("model", "way"),
    [
        ("gpt-4o", "default"),
        ("gpt-4.1-mini", "default"),
        ("gpt-35-turbo", "default"),
        ("gpt-5", "default"),
        ("gpt-5.2", "default"),
        ("gpt-5.4-mini", "default"),
        ("gpt-5.5", "default"),
        ("gpt-5.6", "without_reasoning"),
        ("gpt-5.6-sol", "without_reasoning"),
        ("gpt-5.10", "without_reasoning"),
        ("gpt-6", "without_reasoning"),
        ("gpt-6-luna", "without_reasoning"),
        ("gpt-6-luna-2026-07-01", "without_reasoning"),
        ("gpt-6-sol", "without_reasoning"),
        ("gpt-6.1-terra", "without_reasoning"),
        ("gpt-6-astra", "responses"),
        ("gpt-6.1-sol", "responses"),
        ("gpt-6.1", "responses"),
        ("gpt-7-sol", "responses"),
        ("gpt-oss-120b", "default"),
        ("o3-mini", "default"),
        ("llama3.2", "default"),
        ("openai/gpt-6.1-sol", "default"),
    ],
)
async def test_the_generation_says_how_tools_are_taken(model, way):
    assert tool_mode.tool_mode_of(model) == way
    body = request_body(model, asking(model), Quirks())
    assert body.get("reasoning_effort") == ("none" if way == "without_reasoning" else None)
    assert "reasoning_effort" not in request_body(model, asking(model, tools=()), Quirks())


@pytest.mark.parametrize("model", ["gpt-5", "gpt-6.1-sol", "gpt-7", "o3-mini"])
def test_models_of_later_generations_reason_too(model):
    assert tool_mode.is_reasoning_model(model)
    assert not tool_mode.is_reasoning_model("gpt-4.1")


async def test_a_turn_with_tools_goes_over_responses_unnoticed():
    """History, reasoning, streaming, usage and the tools' results: all as over Chat Completions."""
    server = Server(takes(refusal=EFFORT), calls(("now", {}), thought="secret"), Says("Noon"))
    told: list[str] = []
    context = replace(context_of(), on_text=told.append)
    choice = ModelChoice("a", "Secretary", ("gpt-6.1-sol",), "Be brief.")
    async with provider_at(server) as provider:
        loop = ToolLoop(
            chat_backend(provider, Quirks()), choice, [FunctionTool("now", lambda: "12:00")], LoopLimits()
        )
        outcome = await loop.run(UserMessage("hi"), (), context)
    assert (outcome.answer, told[-1], server.chats) == ("Noon", "Noon", [])
    assert context.totals.usage == Usage(24, 6, 16)
    assert [item["type"] for item in server.asked[1]["input"]] == [
        *("message", "reasoning", "function_call", "function_call_output")
    ]
    assert server.asked[0]["store"] is False


async def test_without_tools_the_same_model_is_asked_as_any_other():
    server = Server(takes(refusal=EFFORT))
    async with provider_at(server) as provider:
        answer = await chat_backend(provider, Quirks()).complete(asking("gpt-6.1-sol", tools=()))
    assert (answer.text, len(server.chats), server.asked) == ("Hello", 1, [])


async def test_a_gateway_without_responses_gets_the_same_model_over_chat():
    server = Server(lambda _body: completion("Hello"), responses=False)
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        for _ in range(2):
            assert (await backend.complete(asking("gpt-6.1-sol"))).text == "Hello"
    assert (server.missing, len(server.chats)) == (["/v1/responses"], 2)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_nobody_listed_says_itself_that_it_wants_no_reasoning(stream):
    server = Server(takes(refusal=EFFORT, reasoning_effort="none"))
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        for _ in range(3):
            answer = await backend.complete(asking(), on_text=(lambda _text: None) if stream else None)
            assert (answer.text, answer.without_tools) == ("Hello", False)
    assert [body.get("reasoning_effort") for body in server.chats] == [None, "none", "none", "none"]


@pytest.mark.parametrize("model", ["m", "gpt-6-luna"])
async def test_a_model_that_knows_no_none_goes_over_responses(model):
    def chat(body: dict[str, Any]) -> Reply:
        return NO_NONE if "reasoning_effort" in body else EFFORT

    server = Server(chat)
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        for _ in range(2):
            assert (await backend.complete(asking(model))).text == "Hello"
    assert len(server.asked) == 2
    assert len(server.chats) == (1 if model == "gpt-6-luna" else 2)


@pytest.mark.parametrize("tools", [TOOLS, ()], ids=["with tools", "without"])
async def test_a_model_that_is_only_there(tools):
    server = Server(lambda _body: ONLY_THERE)
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        for _ in range(2):
            assert (await backend.complete(asking(tools=tools))).text == "Hello"
    assert (len(server.chats), len(server.asked)) == (1, 2)


REFUSALS = [
    (400, "model does not support tools"),
    (400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
    (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    (404, "No endpoints found that support tool use. To learn more about provider routing, visit: …"),
    (500, "tools param requires --jinja flag"),
    (500, "Unsupported param: tools"),
    (400, "`tool calling` is not supported with this model"),
    (400, "Function calling is not enabled for models/gemma-3-27b-it"),
    (400, "deepseek-reasoner does not support Function Calling"),
    (400, "This model doesn't support tool use."),
    (400, "This model doesn't support function calling"),
    (400, "Unsupported parameter: 'tools' is not supported with this model."),
    (422, "Tools are not supported for this model"),
    (400, "Function call is not supported for this model."),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "words"), REFUSALS)
async def test_a_model_without_tools_is_asked_once_more_without_them(status, words, stream):
    server = Server(takes(refusal=error(status, message=words)), responses=False)
    told: list[str] = []
    with capture_logs() as logs:
        async with provider_at(server) as provider:
            backend = chat_backend(provider, Quirks())
            for _ in range(3):
                answer = await backend.complete(asking(), on_text=told.append if stream else None)
                assert (answer.text, answer.without_tools) == ("Hello", True)
    assert ["tools" in body for body in server.chats] == [True, False, False, False]
    lines = [entry for entry in logs if entry["event"] == "model_takes_no_tools"]
    assert [(line["provider"], line["model"], line["log_level"]) for line in lines] == [
        ("openai", "m", "warning")
    ]


async def test_a_run_notes_the_models_that_take_no_tools():
    server = Server(takes(refusal=NO_TOOLS))
    context, choice = context_of(), ModelChoice("a", "Secretary", ("m",), "Be brief.")
    async with provider_at(server) as provider:
        now = FunctionTool("now", lambda: "12:00")
        loop = ToolLoop(chat_backend(provider, Quirks()), choice, [now], LoopLimits())
        assert (await loop.run(UserMessage("hi"), (), context)).answer == "Hello"
    assert context.totals.without_tools == {"openai/m"}


async def test_the_refusal_may_come_in_the_stream_or_with_status_200():
    refused = {"error": {"message": "m does not support tools", "code": 400}}
    for reply in (events(refused), Reply(json.dumps(refused).encode())):
        server = Server(takes(refusal=reply))
        async with provider_at(server) as provider:
            backend = chat_backend(provider, Quirks())
            assert (await backend.complete(asking(), on_text=lambda _text: None)).without_tools


async def test_what_was_learned_of_a_model_is_tried_anew_after_a_while(monkeypatch):
    monkeypatch.setattr(learned, "REMEMBERED", 0.0)
    server = Server(takes(refusal=NO_TOOLS))
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        for _ in range(2):
            await backend.complete(asking())
    assert ["tools" in body for body in server.chats] == [True, False, True, False]


async def test_nothing_is_learned_where_calling_was_forbidden_anyway():
    server = Server(takes(refusal=NO_TOOLS))
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        assert (await backend.complete(replace(asking(), tool_choice="none"))).text == "Hello"
        assert provider.tool_modes.of("m") is None


async def test_what_was_learned_of_one_model_says_nothing_of_another():
    server = Server(lambda body: NO_TOOLS if "tools" in body and body["model"] == "m" else completion("Hi"))
    async with provider_at(server) as provider:
        backend = chat_backend(provider, Quirks())
        assert (await backend.complete(asking("m"))).without_tools
        assert not (await backend.complete(asking("n"))).without_tools


async def test_nothing_is_learned_from_a_model_that_refuses_in_any_way():
    server = Server(lambda _body: NO_TOOLS)
    async with provider_at(server) as provider:
        with pytest.raises(ToolsRefusedError):
            await chat_backend(provider, Quirks()).complete(asking())
        assert provider.tool_modes.of("m") is None
    assert len(server.chats) == 2


async def test_a_response_with_tools_is_refused_too():
    """`openai_api` assistants without threads, at a server whose Responses take no tools."""
    server = Server(lambda _body: error(500))
    server.refuses = lambda request: NO_TOOLS if b'"tools"' in request.body else None
    async with provider_at(server) as provider:
        others = {"openai": ToolModeBackend(provider, chat_backend(provider, Quirks()))}
        backend = stateless_backends(others, OpenAIProtocol.RESPONSES, provider, strict=True)["openai"]
        answer = await backend.complete(asking())
        assert (answer.text, answer.without_tools) == ("Hello", True)
        assert provider.tool_modes.of("m") is ToolMode.OMITTED


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid schema for function 'now'"),
        (400, "parallel_tool_calls is not supported"),
        (400, "Unsupported parameter: 'tools[0].strict'"),
        (400, "Unsupported value: 'temperature' is not supported with this model."),
        (400, 'body.messages.0.content: wrong: {"content": "my kettle does not support tools"}'),
        (401, "this key does not support tools"),
        (500, "upstream function is not available"),
        (400, "This model does not support tool choice 'none'"),
        (400, "tool_choice is not supported"),
        (500, "tools are not available just now"),
        (400, "The model does not support function parameters of type integer"),
        (400, "No tool output found for function call c1."),
    ],
)
def test_other_refusals_say_nothing_of_tools(status, words):
    assert not isinstance(classify_refusal(words, status=status), ToolsRefusedError)


def test_a_busy_server_is_no_refusal_of_tools():
    assert type(classify_refusal("tools are not available", status=503)) is ModelUnavailableError


async def test_the_text_of_a_stream_is_told_once():
    hello = events(chunk("Hel"), chunk("lo"), chunk(finish="stop"))
    server = Server(lambda body: NO_TOOLS if "tools" in body else hello)
    told: list[str] = []
    async with provider_at(server) as provider:
        await chat_backend(provider, Quirks()).complete(asking(), on_text=told.append)
    assert told == ["Hel", "Hello"]
