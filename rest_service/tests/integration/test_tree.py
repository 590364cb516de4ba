from contextlib import contextmanager

import pytest
from pydantic import ConfigDict
from sqlalchemy import event

from service_kit.contracts.assistants import AssistantTree

pytestmark = pytest.mark.integration


class ExactTree(AssistantTree):
    model_config = ConfigDict(extra="forbid")


@contextmanager
def counted(api):
    """The SQL statements that are sent meanwhile."""
    statements = []
    engine = api.app.state.parts.database.engine.sync_engine

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def read(api, root):
    response = await api.get(f"/api/assistants/{root['id']}/tree")
    assert response.status_code == 200, response.text
    return ExactTree.model_validate_json(response.content)


async def test_a_tree_has_all_that_can_be_reached_once(api):
    root, left, right, shared = [await api.an_assistant(name) for name in ("Root", "Left", "Right", "Shared")]
    await api.an_assistant("Stranger")
    clock = await api.a_tool("clock")
    for asking, asked in ((root, left), (root, right), (left, shared), (right, shared)):
        await api.a_link(asking, await api.a_sub_assistant_tool(f"{asking['name']}_{asked['name']}", asked))
    await api.a_link(root, clock)
    await api.a_link(shared, clock)
    tree = await read(api, root)
    assert [assistant.name for assistant in tree.assistants] == ["Root", "Left", "Right", "Shared"]
    assert [tool.name for tool in tree.tools] == [
        "Left_Shared",
        "Right_Shared",
        "Root_Left",
        "Root_Right",
        "clock",
    ]
    assert len(tree.links) == 6
    assert str(tree.root_id) == root["id"]
    assert (
        tree.assistants[0].model_dump(mode="json") == (await api.get(f"/api/assistants/{root['id']}")).json()
    )


async def test_what_is_not_active_is_left_out_with_all_behind_it(api):
    root, off, behind, other = [await api.an_assistant(name) for name in ("Root", "Off", "Behind", "Other")]
    ask_off = await api.a_sub_assistant_tool("ask_off", off)
    await api.a_link(root, ask_off)
    await api.a_link(off, await api.a_sub_assistant_tool("ask_behind", behind))
    silent = await api.a_tool("silent", is_active=False)
    await api.a_link(root, silent)
    unlinked = await api.a_tool("unlinked")
    await api.a_link(root, unlinked, is_active=False)
    await api.patch(f"/api/assistants/{off['id']}", {"is_active": False})
    tree = await read(api, root)
    assert ([a.name for a in tree.assistants], tree.tools, tree.links) == (["Root"], [], [])

    # an override leads past the one that is switched off
    (link,) = (await api.get("/api/assistant-tools", params={"tool_id": ask_off["id"]})).json()
    await api.patch(f"/api/assistant-tools/{link['id']}", {"sub_assistant_id": other["id"]})
    tree = await read(api, root)
    assert [a.name for a in tree.assistants] == ["Root", "Other"]


async def test_one_statement_whatever_the_size(api):
    root = await api.an_assistant("Root")
    for number in range(12):
        asked = await api.an_assistant(f"Sub {number}")
        await api.a_link(root, await api.a_sub_assistant_tool(f"ask_{number}", asked))
        await api.a_link(asked, await api.a_tool(f"tool_{number}"))
    with counted(api) as statements:
        tree = await read(api, root)
    assert len(tree.assistants) == 13
    assert len(statements) == 1


async def test_no_tree_grows_from_one_that_is_off_or_gone(api):
    root = await api.an_assistant(is_active=False)
    for assistant_id in (root["id"], "3fa85f64-5717-4562-b3fc-2c963f66afa6"):
        assert (await api.get(f"/api/assistants/{assistant_id}/tree")).status_code == 404
