import pytest

pytestmark = pytest.mark.integration


async def test_life_of_an_assistant(api):
    made = await api.an_assistant("Ada", settings={"temperature": 0.3})
    assert (await api.get(f"/api/assistants/{made['id']}")).json() == made

    changed = await api.patch(f"/api/assistants/{made['id']}", {"instructions": "Be brief."})
    assert changed.status_code == 200
    assert changed.json()["instructions"] == "Be brief."
    assert changed.json()["name"] == "Ada"
    assert changed.json()["updated_at"] > made["updated_at"]

    whole = await api.put(f"/api/assistants/{made['id']}", {"name": "Bo", "model": "m", "instructions": "Hi"})
    assert whole.json()["settings"]["temperature"] is None, "PUT gives defaults to what is not sent"

    assert (await api.delete(f"/api/assistants/{made['id']}")).status_code == 204
    assert (await api.get(f"/api/assistants/{made['id']}")).status_code == 404


async def test_settings_are_merged(api):
    made = await api.an_assistant(settings={"temperature": 0.3, "max_tool_rounds": 4})
    changed = await api.patch(f"/api/assistants/{made['id']}", {"settings": {"temperature": 0.9}})
    assert changed.json()["settings"]["temperature"] == 0.9
    assert changed.json()["settings"]["max_tool_rounds"] == 4


async def test_lists_are_filtered_ordered_and_counted(api):
    for number in range(5):
        await api.an_assistant(f"Name {number}", is_secretary=number % 2 == 0, is_active=number != 0)
    page = await api.get("/api/assistants", params={"limit": 2, "offset": 1})
    assert [row["name"] for row in page.json()] == ["Name 1", "Name 2"]
    assert page.headers["X-Total-Count"] == "5"
    secretaries = await api.get("/api/assistants?is_secretary=true&is_active=true")
    assert [row["name"] for row in secretaries.json()] == ["Name 2", "Name 4"]
    found = await api.get("/api/assistants", params={"search": "AME 3"})
    assert [row["name"] for row in found.json()] == ["Name 3"]
    assert (await api.get("/api/assistants", params={"search": "%"})).json() == [], "% is a letter here"
    beyond = await api.get("/api/assistants", params={"offset": 50})
    assert (beyond.json(), beyond.headers["X-Total-Count"]) == ([], "5")


async def test_deleting_one_that_others_ask_is_refused_by_name(api):
    planner, secretary = await api.an_assistant("Planner"), await api.an_assistant("Secretary")
    tool = await api.a_sub_assistant_tool("ask_planner", planner)
    await api.a_link(secretary, tool)
    refused = await api.delete(f"/api/assistants/{planner['id']}")
    assert refused.status_code == 409
    assert "'ask_planner'" in refused.json()["message"]

    other = await api.an_assistant("Other")
    override = await api.an_assistant("Override")
    await api.a_link(other, tool, sub_assistant_id=override["id"])
    refused = await api.delete(f"/api/assistants/{override['id']}")
    assert refused.status_code == 409
    assert "'Other'" in refused.json()["message"]

    assert (await api.delete(f"/api/assistants/{secretary['id']}")).status_code == 204
    assert (await api.get("/api/assistant-tools", params={"assistant_id": secretary["id"]})).json() == []
