"""A new tool type is one file in assistant: rest_service takes it from the running assistants."""

import asyncio

import pytest

from rest_service.app.main import create_app
from rest_service.tests.support import make_settings, running
from service_kit.contracts.tools import TOOL_TYPES_KEY
from service_kit.settings import RedisSettings

pytestmark = pytest.mark.integration

STOCKS = {"name": "stocks", "tool_type": "stock_prices", "description": "Tells prices."}
DOCUMENT = {"tools": [STOCKS]}


async def test_a_type_is_known_once_an_assistant_has_announced_it(api, redis_client):
    refused = await api.post("/api/tools", STOCKS)
    assert (refused.status_code, refused.json()["field"]) == (422, "tool_type")
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices")
    made = await api.made("/api/tools", STOCKS)
    assert made["tool_type"] == "stock_prices"
    path = f"/api/tools/{made['id']}"
    assert (await api.put(path, STOCKS | {"description": "New."})).status_code == 200
    assert (await api.patch(path, {"tool_type": "time"})).status_code == 200
    assert (await api.patch(path, {"tool_type": "stock_prices"})).status_code == 200
    listed = await api.get("/api/tools", params={"tool_type": "stock_prices"})
    assert [row["id"] for row in listed.json()] == [made["id"]]


async def test_an_unknown_type_is_refused_with_the_known_ones_and_the_nearest(api, redis_client):
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices", "time", "No Name", b"\xff")
    refused = await api.post("/api/tools", STOCKS | {"tool_type": "stock_price"})
    assert refused.json()["message"] == (
        "There is no tool type 'stock_price'. Did you mean 'stock_prices'? Known are calendar, reminder, "
        "stock_prices, sub_assistant, time and weather; a new one is known once an assistant service that "
        "has it has started."
    )
    far = await api.post("/api/tools", STOCKS | {"tool_type": "zzz"})
    assert "Did you mean" not in far.json()["message"]


@pytest.mark.parametrize("tool_type", ["Time", "time ly", "1time", "", "x" * 33, "tíme", 7, None])
async def test_what_cannot_be_a_type_is_refused(api, tool_type):
    refused = await api.post("/api/tools", STOCKS | {"tool_type": tool_type})
    assert (refused.status_code, refused.json()["field"]) == (422, "tool_type")


async def test_an_announced_type_has_no_assistant(api, redis_client):
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices")
    planner = await api.an_assistant("Planner")
    refused = await api.post("/api/tools", STOCKS | {"assistant_id": planner["id"]})
    assert (refused.status_code, refused.json()["field"]) == (422, "assistant_id")


async def test_what_was_known_stays_known_when_redis_has_lost_it(api, redis_client):
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices")
    made = await api.made("/api/tools", STOCKS)
    await redis_client.delete(TOOL_TYPES_KEY)
    assert (await api.put(f"/api/tools/{made['id']}", STOCKS)).status_code == 200
    assert (await api.patch(f"/api/tools/{made['id']}", {"tool_type": "zzz"})).status_code == 422
    assert (await api.patch(f"/api/tools/{made['id']}", {"tool_type": "stock_prices"})).status_code == 200


async def test_the_built_in_types_do_without_redis(empty_url):
    nowhere = RedisSettings(redis_host="127.0.0.1", redis_port=1)
    async with running(create_app(make_settings(empty_url, nowhere))) as api:
        assert (await api.post("/api/tools", STOCKS)).status_code == 422
        assert (await api.post("/api/tools", STOCKS | {"tool_type": "weather"})).status_code == 201


async def test_a_redis_that_never_answers_is_not_waited_for(empty_url):
    async def silent(reader, writer):
        await reader.read()  # until the caller gives up
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    hanging = RedisSettings(redis_host="127.0.0.1", redis_port=server.sockets[0].getsockname()[1])
    async with running(create_app(make_settings(empty_url, hanging))) as api, asyncio.timeout(8):
        assert (await api.post("/api/tools", STOCKS)).status_code == 422
    server.close()


async def test_an_import_knows_the_same_types(api, redis_client):
    refused = await api.post("/api/import", DOCUMENT)
    assert (refused.status_code, refused.json()["field"]) == (422, "tools.0.tool_type")
    assert "There is no tool type 'stock_prices'" in refused.json()["message"]
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices")
    assert (await api.post("/api/import", DOCUMENT)).json()["created"] == 1


async def test_an_export_can_be_imported_though_nobody_has_the_type_any_more(empty_url, api, redis_client):
    await redis_client.sadd(TOOL_TYPES_KEY, "stock_prices")
    await api.made("/api/tools", STOCKS)
    await redis_client.delete(TOOL_TYPES_KEY)
    nowhere = RedisSettings(redis_host="127.0.0.1", redis_port=1)
    async with running(create_app(make_settings(empty_url, nowhere))) as started_anew:
        document = (await started_anew.get("/api/export")).json()
        result = await started_anew.post("/api/import", document)
        assert (result.status_code, result.json()["unchanged"]) == (200, 1)
