from collections.abc import AsyncIterator

import pytest

from assistant.src.services.rest_service import RestServiceClient
from assistant.tests.fakes import assistant_row, tool_row, tree_of, user_row
from assistant.tests.standin import RestStandIn
from service_kit.errors import NotFoundError, RestUnavailableError
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings

ROOT, BELOW = assistant_row("Secretary", is_secretary=True), assistant_row("Planner")
TIME, ASK = tool_row("time"), tool_row("ask", "sub_assistant", assistant_id=BELOW.id)
OTHER = tool_row("other")


@pytest.fixture
async def rest() -> AsyncIterator[RestStandIn]:
    tree = tree_of(ROOT, BELOW, tools={ROOT.id: [TIME, ASK], BELOW.id: [OTHER]})
    async with RestStandIn(user_row(7), trees=[tree]) as server:
        yield server


@pytest.fixture
async def client(rest: RestStandIn) -> AsyncIterator[RestServiceClient]:
    settings = RestClientSettings(rest_service_url=rest.url, service_api_key="key")
    async with AsyncRestClient(settings) as made:
        yield RestServiceClient(made)


async def test_what_the_service_reads(client):
    assert await client.get_assistants() == await client.get_secretaries() == [ROOT]
    assert await client.get_assistant(ROOT.id) == ROOT
    assert await client.get_assistant_tools(ROOT.id) == [TIME, ASK]
    assert await client.get_tools() == [TIME, ASK, OTHER]
    assert (await client.get_tree(ROOT.id)).root_id == ROOT.id
    assert (await client.get_user(7)).id == 7
    await client.check()


async def test_what_is_not_there(client, rest):
    with pytest.raises(NotFoundError):
        await client.get_user(8)
    rest.down = True
    with pytest.raises(RestUnavailableError):
        await client.check()
