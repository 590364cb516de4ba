"""Exactly one active secretary is the default, whatever is changed and whoever changes it at once."""

import asyncio

import pytest

pytestmark = pytest.mark.integration


async def defaults(api):
    return [row["name"] for row in (await api.get("/api/assistants")).json() if row["is_default"]]


async def a_secretary(api, name, **more):
    return await api.an_assistant(name, is_secretary=True, **more)


async def change(api, row, **fields):
    return await api.patch(f"/api/assistants/{row['id']}", fields)


async def test_the_first_active_secretary_becomes_the_default(api):
    await api.an_assistant("Planner")
    await a_secretary(api, "Off", is_active=False)
    assert await defaults(api) == []
    assert (await a_secretary(api, "Ada"))["is_default"] is True
    assert (await a_secretary(api, "Bo"))["is_default"] is False
    assert await defaults(api) == ["Ada"]


async def test_an_assistant_that_becomes_a_secretary_may_be_the_first(api):
    ada = await api.an_assistant("Ada")
    assert (await change(api, ada, is_secretary=True)).json()["is_default"] is True


async def test_naming_another_one_moves_the_default_and_lists_begin_with_it(api):
    for name in ("Ada", "Bo"):
        await a_secretary(api, name)
    carl = await a_secretary(api, "Carl", is_default=True)
    assert await defaults(api) == ["Carl"]
    listed = (await api.get("/api/assistants?is_secretary=true")).json()
    assert [row["name"] for row in listed] == ["Carl", "Ada", "Bo"]
    assert [row["name"] for row in (await api.get("/api/assistants")).json()] == ["Ada", "Bo", "Carl"]
    assert (await change(api, listed[2], is_default=True)).json()["is_default"] is True
    assert await defaults(api) == ["Bo"]
    whole = {"name": "Carl", "model": "m", "instructions": "i", "is_secretary": True}
    assert (await api.put(f"/api/assistants/{carl['id']}", whole)).json()["is_default"] is False


@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_secretary": False}])
async def test_the_only_one_stays(api, fields):
    ada = await a_secretary(api, "Ada")
    for refused in (await change(api, ada, **fields), await api.delete(f"/api/assistants/{ada['id']}")):
        assert refused.status_code == 409
        assert "only active secretary" in refused.json()["message"]
    assert await defaults(api) == ["Ada"]


@pytest.mark.parametrize("leave", ["delete", "is_active", "is_secretary"])
async def test_the_oldest_other_one_follows_a_default_that_goes(api, leave):
    ada = await a_secretary(api, "Ada")
    await a_secretary(api, "Off", is_active=False)
    for name in ("Bo", "Carl"):
        await a_secretary(api, name)
    if leave == "delete":
        assert (await api.delete(f"/api/assistants/{ada['id']}")).status_code == 204
    else:
        assert (await change(api, ada, **{leave: False})).json()["is_default"] is False
    assert await defaults(api) == ["Bo"]


async def test_put_without_the_field_keeps_the_default(api):
    ada = await a_secretary(api, "Ada")
    whole = {"name": "Ada", "model": "m", "instructions": "i", "is_secretary": True}
    assert (await api.put(f"/api/assistants/{ada['id']}", whole)).json()["is_default"] is True


async def test_the_default_is_moved_not_taken_away(api):
    ada = await a_secretary(api, "Ada")
    await a_secretary(api, "Bo")
    refused = await change(api, ada, is_default=False)
    assert (refused.status_code, refused.json()["field"]) == (409, "is_default")
    assert "another one" in refused.json()["message"]


@pytest.mark.parametrize("fields", [{"is_secretary": False}, {"is_active": False}])
async def test_only_an_active_secretary_can_be_it(api, fields):
    await a_secretary(api, "Ada")
    bo = await a_secretary(api, "Bo")
    refused = await change(api, bo, is_default=True, **fields)
    assert (refused.status_code, refused.json()["field"]) == (422, "is_default")
    assert await defaults(api) == ["Ada"]


async def test_fifty_at_once_leave_exactly_one(api):
    rows = [await a_secretary(api, f"S{number}") for number in range(5)]
    changes = [
        change(api, rows[n % 5], **({"is_default": True} if n % 2 else {"is_active": n % 4 == 0}))
        for n in range(50)
    ]
    answers = await asyncio.gather(*changes)
    assert {answer.status_code for answer in answers} <= {200, 409, 422}
    assert len(await defaults(api)) == 1
