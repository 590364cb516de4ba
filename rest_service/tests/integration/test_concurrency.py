import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.integration

CLIENTS = 50


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/users", {"telegram_id": 7}),
        ("/api/assistants", {"name": "Ada", "model": "default", "instructions": "Hi"}),
        ("/api/tools", {"name": "clock", "tool_type": "time", "description": "d"}),
    ],
)
async def test_the_same_thing_is_made_once(api, path, body):
    answers = await asyncio.gather(*(api.post(path, body) for _ in range(CLIENTS)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (CLIENTS - 1)
    assert len((await api.get(path)).json()) == 1


async def test_one_of_many_becomes_the_owner(api):
    answers = await asyncio.gather(
        *(api.post("/api/users", {"telegram_id": number, "role": "owner"}) for number in range(1, CLIENTS))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (CLIENTS - 2)


async def test_changes_of_different_fields_at_once_all_stand(api):
    made = await api.an_assistant()
    path = f"/api/assistants/{made['id']}"
    changes: list[dict[str, Any]] = [
        {"name": "New"},
        {"model": "new/model"},
        {"instructions": "New."},
        {"is_secretary": True},
        {"openai_assistant_id": "asst_1"},
        {"settings": {"temperature": 0.1}},
        {"settings": {"max_tool_rounds": 3}},
        {"settings": {"fallback_models": ["a/b"]}},
    ]
    answers = await asyncio.gather(*(api.patch(path, change) for change in changes * 5))
    assert {answer.status_code for answer in answers} == {200}
    row = (await api.get(path)).json()
    for change in changes:
        for name, value in change.items():
            if name == "settings":
                assert value.items() <= row["settings"].items()
            else:
                assert row[name] == value


async def test_changes_of_a_job_at_once_all_stand(api):
    job = await api.a_job(await api.a_user())
    path = f"/api/cron-jobs/{job['id']}"
    changes = [
        {"cron_expression": "0 10 * * *"},
        {"timezone": "Asia/Tokyo"},
        {"name": "New"},
        {"message": "New"},
        {"priority": "high"},
    ]
    await asyncio.gather(*(api.patch(path, change) for change in changes * 4))
    row = (await api.get(path)).json()
    for change in changes:
        assert change.items() <= row.items()
    assert row["next_run_at"] == "2026-11-23T01:00:00Z", "10:00 in Tokyo: both changes are in it"


async def test_a_reference_and_the_deletion_of_its_target_at_once(api):
    """Either the tool leads somewhere, or the assistant is gone: never a defect, never a loose end."""
    for round_ in range(10):
        planner = await api.an_assistant(f"Planner {round_}")
        body = {
            "name": f"ask_{round_}",
            "tool_type": "sub_assistant",
            "description": "d",
            "assistant_id": planner["id"],
        }
        made, deleted = await asyncio.gather(
            api.post("/api/tools", body), api.delete(f"/api/assistants/{planner['id']}")
        )
        assert (made.status_code, deleted.status_code) in {(201, 409), (422, 204)}


async def test_more_requests_than_connections_are_all_served(api):
    made = await api.a_user()
    answers = await asyncio.gather(*(api.get(f"/api/users/{made['id']}") for _ in range(300)))
    assert {answer.status_code for answer in answers} == {200}
