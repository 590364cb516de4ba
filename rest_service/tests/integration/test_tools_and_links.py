import asyncio
import threading

import pytest

from rest_service.app.repositories import tools
from rest_service.app.tool_schema import find_problem

pytestmark = pytest.mark.integration

SCHEMA = '{"type": "object", "properties": {"timezone": {"type": "string"}}}'


async def test_life_of_a_tool(api):
    made = await api.a_tool("current_time", input_schema=SCHEMA)
    assert made["input_schema"] == SCHEMA
    path = f"/api/tools/{made['id']}"
    assert (await api.get(path)).json() == made
    assert (await api.patch(path, {"input_schema": None})).json()["input_schema"] is None
    whole = await api.put(path, {"name": "now", "tool_type": "time", "description": "d", "is_active": False})
    assert (whole.json()["name"], whole.json()["is_active"]) == ("now", False)
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404


async def test_a_schema_may_be_sent_as_an_object(api):
    made = await api.a_tool(input_schema={"type": "object"})
    assert made["input_schema"] == '{"type": "object"}'


async def test_a_schema_is_not_checked_where_the_other_requests_wait(api, monkeypatch):
    threads = []

    def note(text):
        threads.append(threading.current_thread())
        return find_problem(text)

    monkeypatch.setattr(tools, "find_problem", note)
    made = await api.a_tool(input_schema=SCHEMA)
    await api.patch(f"/api/tools/{made['id']}", {"input_schema": {"type": "object"}})
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_tools_are_listed_by_name_and_filtered(api):
    asked = await api.an_assistant()
    for name in ("b", "c", "a"):
        await api.a_tool(name)
    await api.a_sub_assistant_tool("d", asked)
    assert [row["name"] for row in (await api.get("/api/tools")).json()] == ["a", "b", "c", "d"]
    for query in ({"tool_type": "sub_assistant"}, {"assistant_id": asked["id"]}, {"search": "D"}):
        assert [row["name"] for row in (await api.get("/api/tools", params=query)).json()] == ["d"]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"name": "with space"}, 422, "name"),
        ({"name": ""}, 422, "name"),
        ({"name": None}, 422, "name"),
        ({"tool_type": "magic"}, 422, "tool_type"),
        ({"tool_type": "sub_assistant"}, 422, "assistant_id"),
        ({"assistant_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6"}, 422, "assistant_id"),
        ({"assistant_id": "rubbish"}, 422, "assistant_id"),
        ({"input_schema": "{}"}, 422, "input_schema"),
        ({"input_schema": "{"}, 422, "input_schema"),
        ({"descripton": "misspelt"}, 422, "descripton"),
        ({"name": "taken"}, 409, "name"),
        ({"is_active": None}, 422, "is_active"),
    ],
)
async def test_a_wrong_change_of_a_tool_is_refused_with_its_field(api, change, status, field):
    await api.a_tool("taken")
    made = await api.a_tool("clock")
    refused = await api.patch(f"/api/tools/{made['id']}", change)
    assert refused.status_code == status
    assert refused.json()["field"] == field
    assert (await api.get(f"/api/tools/{made['id']}")).json() == made, "nothing has changed"


async def test_a_sub_assistant_tool_must_ask_one_that_exists(api):
    body = {"name": "ask", "tool_type": "sub_assistant", "description": "d"}
    nobody = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    refused = await api.post("/api/tools", body | {"assistant_id": nobody})
    assert refused.status_code == 422
    assert "no assistant with this id" in refused.json()["message"]


async def test_life_of_a_link(api):
    secretary, tool = await api.an_assistant(), await api.a_tool()
    link = await api.a_link(secretary, tool)
    again = await api.post("/api/assistant-tools", {"assistant_id": secretary["id"], "tool_id": tool["id"]})
    assert again.status_code == 409
    path = f"/api/assistant-tools/{link['id']}"
    assert (await api.get(path)).json() == link
    assert (await api.patch(path, {"is_active": False})).json()["is_active"] is False
    whole = await api.put(path, {"assistant_id": secretary["id"], "tool_id": tool["id"]})
    assert whole.json()["is_active"] is True
    for query in ({"assistant_id": secretary["id"]}, {"tool_id": tool["id"]}):
        assert [row["id"] for row in (await api.get("/api/assistant-tools", params=query)).json()] == [
            link["id"]
        ]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get("/api/assistant-tools")).json() == []


async def test_deleting_a_tool_takes_its_links_along(api):
    tool = await api.a_tool()
    await api.a_link(await api.an_assistant(), tool)
    assert (await api.delete(f"/api/tools/{tool['id']}")).status_code == 204
    assert (await api.get("/api/assistant-tools")).json() == []


async def test_only_links_to_sub_assistants_override_whom_they_ask(api):
    one, other, tool = await api.an_assistant("One"), await api.an_assistant("Other"), await api.a_tool()
    body = {"assistant_id": one["id"], "tool_id": tool["id"], "sub_assistant_id": other["id"]}
    refused = await api.post("/api/assistant-tools", body)
    assert (refused.status_code, refused.json()["field"]) == (422, "sub_assistant_id")

    asking = await api.a_sub_assistant_tool("ask", other)
    await api.a_link(one, asking, sub_assistant_id=other["id"])
    change = {"tool_type": "time", "assistant_id": None}
    refused = await api.patch(f"/api/tools/{asking['id']}", change)
    assert refused.status_code == 409
    assert "sub_assistant_id" in refused.json()["message"]


async def chain(api, *names):
    """Assistants that each ask the next one; returns them and the tool that asks each."""
    rows = [await api.an_assistant(name) for name in names]
    tools = [await api.a_sub_assistant_tool(f"ask_{row['name']}", row) for row in rows]
    for asking, tool in zip(rows, tools[1:], strict=False):
        await api.a_link(asking, tool)
    return rows, tools


async def test_a_circle_of_assistants_is_refused_with_its_path(api):
    (_, _, last), (first_tool, *_) = await chain(api, "A", "B", "C")
    refused = await api.post(
        "/api/assistant-tools", {"assistant_id": last["id"], "tool_id": first_tool["id"]}
    )
    assert refused.status_code == 409
    assert "'C' → 'A' → 'B' → 'C'" in refused.json()["message"]


async def test_an_assistant_that_asks_itself_is_refused(api):
    (only,), (tool,) = await chain(api, "A")
    refused = await api.post("/api/assistant-tools", {"assistant_id": only["id"], "tool_id": tool["id"]})
    assert refused.status_code == 409
    assert "'A' → 'A'" in refused.json()["message"]


async def test_no_change_of_a_tool_or_link_closes_a_circle(api):
    (first, last), (_, ask_last) = await chain(api, "A", "B")
    harmless = await api.an_assistant("Harmless")
    ask_harmless = await api.a_sub_assistant_tool("ask_harmless", harmless)
    link = await api.a_link(last, ask_harmless)

    turned = await api.patch(f"/api/tools/{ask_harmless['id']}", {"assistant_id": first["id"]})
    overridden = await api.patch(f"/api/assistant-tools/{link['id']}", {"sub_assistant_id": first["id"]})
    moved = await api.put(
        f"/api/assistant-tools/{link['id']}", {"assistant_id": last["id"], "tool_id": ask_last["id"]}
    )
    assert [turned.status_code, overridden.status_code, moved.status_code] == [409, 409, 409]
    assert (await api.get(f"/api/assistant-tools/{link['id']}")).json() == link, "nothing has changed"


async def test_an_override_may_resolve_what_would_be_a_circle(api):
    (first, last), _ = await chain(api, "A", "B")
    elsewhere = await api.an_assistant("C")
    ask_first = await api.a_sub_assistant_tool("ask_first", first)
    await api.a_link(last, ask_first, sub_assistant_id=elsewhere["id"])


async def test_two_halves_of_a_circle_at_once_do_not_both_stand(api):
    for round_ in range(5):
        one, other = await api.an_assistant(f"One {round_}"), await api.an_assistant(f"Other {round_}")
        ask_one = await api.a_sub_assistant_tool(f"ask_one_{round_}", one)
        ask_other = await api.a_sub_assistant_tool(f"ask_other_{round_}", other)
        answers = await asyncio.gather(
            api.post("/api/assistant-tools", {"assistant_id": one["id"], "tool_id": ask_other["id"]}),
            api.post("/api/assistant-tools", {"assistant_id": other["id"], "tool_id": ask_one["id"]}),
        )
        assert sorted(answer.status_code for answer in answers) == [201, 409]
