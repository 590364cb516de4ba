"""The configuration as one document: what comes out goes in, whole or not at all."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rest_service.app.tool_schema import find_problem
from rest_service.app.transfer import checks
from rest_service.tests.support import SERVICE_KEY, empty

pytestmark = pytest.mark.integration

SCHEMA = {"type": "object", "properties": {"q": {"type": "string", "default": None}}, "x": [1, 1.0, True]}


def an_assistant(name, **more):
    return {"name": name, "model": "default", "instructions": f"You are {name}."} | more


def document():
    return {
        "assistants": [
            an_assistant("Secretary", is_secretary=True, is_default=True, settings={"temperature": 0.3}),
            an_assistant("Planner"),
            an_assistant("Other planner", is_active=False),
        ],
        "tools": [
            {"name": "clock", "tool_type": "time", "description": "Tells the time.", "input_schema": SCHEMA},
            {"name": "ask", "tool_type": "sub_assistant", "description": "Asks.", "assistant": "Planner"},
        ],
        "links": [
            {"assistant": "Secretary", "tool": "clock", "is_active": False},
            {"assistant": "Secretary", "tool": "ask", "sub_assistant": "Other planner"},
        ],
    }


async def bring_in(api, body, **query):
    return await api.post("/api/import", body, params=query)


async def exported(api):
    answer = await api.get("/api/export")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def rows(api):
    return [(await api.get(f"/api/{name}")).json() for name in ("assistants", "tools", "assistant-tools")]


async def test_schemas_are_not_checked_where_the_other_requests_wait(api, monkeypatch):
    threads = []

    def note(text):
        threads.append(threading.current_thread())
        return find_problem(text)

    monkeypatch.setattr(checks, "find_problem", note)
    assert (await bring_in(api, document())).status_code == 200
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_a_document_makes_the_rows_and_a_second_import_changes_nothing(api):
    made = (await bring_in(api, document())).json()
    assert (made["created"], made["changed"], made["unchanged"]) == (7, 0, 0)
    assert {(change["kind"], change["name"]) for change in made["changes"]} >= {
        ("assistant", "Secretary"),
        ("link", "Secretary → ask"),
    }
    before = await rows(api)
    again = (await bring_in(api, document())).json()
    assert (again["created"], again["changed"], again["unchanged"], again["changes"]) == (0, 0, 7, [])
    assert await rows(api) == before, "not even a time has moved"
    out = await exported(api)
    assert [assistant["name"] for assistant in out["assistants"]] == ["Other planner", "Planner", "Secretary"]
    assert out["tools"][1]["input_schema"] == SCHEMA
    assert out["links"][0]["sub_assistant"] == "Other planner"


async def test_a_dry_run_tells_the_difference_and_writes_nothing(api):
    await bring_in(api, document())
    before = await rows(api)
    changed = document()
    changed["assistants"][1]["instructions"] = "New."
    changed["assistants"].append(an_assistant("Fourth"))
    told = (await bring_in(api, changed, dry_run=True)).json()
    assert told["dry_run"] is True
    assert (told["created"], told["changed"], told["unchanged"]) == (1, 1, 6)
    [difference] = [change for change in told["changes"] if change["action"] == "changed"]
    assert difference["fields"] == [{"field": "instructions", "before": "You are Planner.", "after": "New."}]
    assert await rows(api) == before
    done = (await bring_in(api, changed)).json()
    assert done["changes"] == told["changes"]


async def test_what_the_document_does_not_name_stays(api):
    await api.an_assistant("Mine")
    await bring_in(api, document())
    part = {"links": [{"assistant": "Mine", "tool": "clock"}]}
    assert (await bring_in(api, part)).json()["created"] == 1
    assert len((await exported(api))["assistants"]) == 4


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda d: d["links"][1].update(assistant="Nobody"), "links.1.assistant", "'Nobody'"),
        (lambda d: d["links"][0].update(tool="nothing"), "links.0.tool", "'nothing'"),
        (lambda d: d["links"][0].update(sub_assistant="Planner"), "links.0.sub_assistant", "type time"),
        (lambda d: d["tools"][1].update(assistant="Nobody"), "tools.1.assistant", "'Nobody'"),
        (lambda d: d["tools"][1].pop("assistant"), "tools.1.assistant", "names the assistant"),
        (lambda d: d["tools"][0].update(input_schema={"type": 1}), "tools.0.input_schema", "top level"),
        (lambda d: d["tools"][0].update(name="not a name"), "tools.0.name", ""),
        (lambda d: d["assistants"][1].pop("model"), "assistants.1.model", "required"),
        (lambda d: d["assistants"][1].update(name="Secretary"), "assistants.1", "twice"),
        (lambda d: d["assistants"][1].update(is_default=True), "assistants.1.is_default", "active secretary"),
        (lambda d: d.update(surprise=1), "surprise", ""),
    ],
)
async def test_a_wrong_document_is_refused_whole_with_the_place(api, change, field, reason):
    body = document()
    change(body)
    for query in ({}, {"dry_run": True}):
        refused = await bring_in(api, body, **query)
        assert refused.status_code == 422, refused.text
        assert field in [detail["field"] for detail in refused.json()["details"]]
        assert reason in refused.text
    assert await rows(api) == [[], [], []]


async def test_all_errors_are_told_at_once(api):
    body = document()
    body["links"] += [{"assistant": "Nobody", "tool": "clock"}, {"assistant": "Secretary", "tool": "hammer"}]
    fields = [detail["field"] for detail in (await bring_in(api, body)).json()["details"]]
    assert fields == ["links.2.assistant", "links.3.tool"]


async def test_a_circle_is_refused_with_its_path(api):
    body = document()
    body["links"].append({"assistant": "Planner", "tool": "ask"})
    refused = await bring_in(api, body)
    assert refused.status_code == 409
    assert "'Planner' → 'Planner'" in refused.json()["message"]
    assert await rows(api) == [[], [], []]


async def test_a_tool_whose_links_override_whom_it_asks_keeps_its_type(api):
    await bring_in(api, document())
    body = {"tools": [{"name": "ask", "tool_type": "time", "description": "d"}]}
    refused = await bring_in(api, body)
    assert (refused.status_code, "'ask'" in refused.json()["message"]) == (409, True)


async def test_the_default_moves_with_the_document_and_both_sides_are_told(api):
    await bring_in(api, document())
    new = {"assistants": [an_assistant("New", is_secretary=True, is_default=True)]}
    told = (await bring_in(api, new)).json()["changes"]
    assert [(change["name"], change["action"]) for change in told] == [
        ("New", "created"),
        ("Secretary", "changed"),
    ]
    assert told[1]["fields"] == [{"field": "is_default", "before": True, "after": False}]
    assert (await bring_in(api, new)).json()["changes"] == []
    back = (await bring_in(api, document())).json()
    assert {change["name"] for change in back["changes"]} == {"New", "Secretary"}


async def test_the_only_secretary_is_not_switched_off(api):
    await bring_in(api, document())
    off = {"assistants": [an_assistant("Secretary", is_secretary=True, is_active=False)]}
    refused = await bring_in(api, off)
    assert refused.status_code == 409
    assert "only active secretary" in refused.json()["message"]


async def test_both_are_the_admins_alone(api):
    assert (await api.get("/api/export", key=SERVICE_KEY)).status_code == 403
    assert (await api.post("/api/import", document(), key=SERVICE_KEY)).status_code == 403


async def test_a_document_may_be_larger_than_other_bodies(api):
    body = {"assistants": [an_assistant(f"A{n}", instructions="x" * 90_000) for n in range(15)]}
    assert (await bring_in(api, body)).json()["created"] == 15
    assert len((await exported(api))["assistants"]) == 15


async def test_schemas_that_json_cannot_repeat_go_out_as_text(api):
    for name, schema in (
        ("nul", r'{"type": "object", "title": "\u0000"}'),
        ("half", r'{"type": "object", "title": "\ud800"}'),
    ):
        await api.a_tool(name, input_schema=schema)
    out = await exported(api)
    assert all(isinstance(tool["input_schema"], str) for tool in out["tools"])
    assert (await bring_in(api, out)).json()["changes"] == []


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
).map(lambda text: f"x{text.strip()}")
names = st.lists(texts, min_size=1, max_size=5, unique=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def configurations(draw):
    people = draw(names)
    default = draw(st.sampled_from([None, *people]))
    flags = st.booleans()
    assistants = [
        an_assistant(
            name,
            instructions=draw(texts),
            is_secretary=name == default or draw(flags),
            is_active=name == default or draw(flags),
            settings=draw(
                st.sampled_from([{}, {"temperature": 1.0}, {"temperature": -0.0, "max_tool_rounds": 2}])
            ),
            **({"is_default": True} if name == default else {}),
        )
        for name in people
    ]
    tools = []
    for number in range(draw(st.integers(0, 4))):
        tool = {"name": f"t{number}", "description": draw(texts), "is_active": draw(flags)}
        # asked are only later ones: no circles
        asks = draw(st.integers(0, len(people) - 1)) if draw(flags) else None
        if asks is None:
            schema = draw(st.none() | st.dictionaries(texts, json_values, max_size=3))
            tool |= {
                "tool_type": "time",
                "input_schema": None if schema is None else schema | {"type": "object"},
            }
        else:
            tool |= {"tool_type": "sub_assistant", "assistant": people[asks]}
        tools.append(tool)
    links = [
        {"assistant": person, "tool": tool["name"], "is_active": draw(flags)}
        for number, person in enumerate(people)
        for tool in tools
        if draw(flags) and ("assistant" not in tool or people.index(tool["assistant"]) > number)
    ]
    return {"assistants": assistants, "tools": tools, "links": links}


@given(body=configurations())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_what_comes_out_goes_in_again_and_changes_nothing(api, empty_url, body):
    empty(empty_url)
    made = await bring_in(api, body)
    assert made.status_code == 200, made.text
    assert made.json()["created"] == sum(len(part) for part in body.values())
    out = await exported(api)
    assert (await bring_in(api, body)).json()["changes"] == []
    assert (await bring_in(api, out)).json()["changes"] == []
    empty(empty_url)
    await bring_in(api, out)
    assert await exported(api) == out
