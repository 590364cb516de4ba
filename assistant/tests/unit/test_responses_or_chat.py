"""Responses where they are spoken, Chat Completions where they are not."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from assistant.src.core.chat.backend import ChatCompletionsBackend
from assistant.src.core.errors import ModelError, ModelRefusedError, ModelUnavailableError
from assistant.src.core.model import ModelRequest, UserMessage
from assistant.src.core.providers.event_stream import Timeouts
from assistant.src.core.providers.provider import Provider
from assistant.src.core.routing.responses_or_chat import ResponsesOrChat
from assistant.tests.openai_standin import OpenAIStandIn, Says
from assistant.tests.standin import Reply, Request, completion, error

REQUEST = ModelRequest(models=("m",), instructions="x", messages=[UserMessage("Hi")])
NOT_FOUND = error(404, message="Invalid URL (POST /v1/responses)")


@asynccontextmanager
async def backend_at(server: OpenAIStandIn) -> AsyncIterator[tuple[ResponsesOrChat, Provider]]:
    timeouts = Timeouts(connect=30, first_token=30, stall=30, whole=30)
    async with server, aclosing(Provider("openai", base_url=server.url, timeouts=timeouts)) as provider:
        yield ResponsesOrChat(provider, ChatCompletionsBackend(provider), strict=True), provider


def refusing(**replies: Reply) -> Callable[[Request], Reply | None]:
    return lambda request: replies.get(request.target.rpartition("/")[2])


@pytest.mark.parametrize("status", [404, 405])
async def test_what_is_not_there_is_asked_once(status):
    server = OpenAIStandIn(Says("never"))
    server.refuses = refusing(responses=error(status, message="no"), completions=completion("Hello"))
    async with backend_at(server) as (backend, provider):
        for _ in range(3):
            assert (await backend.complete(REQUEST)).text == "Hello"
    assert provider.unsupported_paths == {"/responses"}
    assert [target for _, target in server.requests].count("/v1/responses") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        error(404, code="model_not_found", message="no"),
        error(404, message="model 'm' not found, try pulling it first"),
        error(404, message="The model `m` does not exist."),
        error(405, message="This model takes no POST."),
        error(400, message="Not Found"),
        error(401),
    ],
    ids=lambda reply: str(reply.body),
)
async def test_other_refusals_say_nothing_of_the_protocol(refusal):
    server = OpenAIStandIn(Says("never"))
    server.refuses = refusing(responses=refusal, completions=completion("Hello"))
    async with backend_at(server) as (backend, provider):
        with pytest.raises(ModelRefusedError):
            await backend.complete(REQUEST)
    assert (len(server.requests), provider.unsupported_paths) == (1, set())


@pytest.mark.parametrize(
    ("chat", "failure"), [(NOT_FOUND, ModelRefusedError), (error(503), ModelUnavailableError)], ids=str
)
async def test_nothing_is_concluded_from_a_server_that_answers_nothing(
    chat: Reply, failure: type[ModelError]
):
    """A gateway whose service is being started answers 404 to everything."""
    server = OpenAIStandIn(Says("Hello"))
    server.refuses = refusing(responses=NOT_FOUND, completions=chat)
    async with backend_at(server) as (backend, provider):
        with pytest.raises(failure):
            await backend.complete(REQUEST)
        server.refuses = refusing()
        assert (await backend.complete(REQUEST)).text == "Hello"
    assert provider.unsupported_paths == set()
