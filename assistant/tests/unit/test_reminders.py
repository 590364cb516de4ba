"""What rest_service's own tests cannot provoke: many pages, lost answers, refusals by the way.

The tool's everyday work stands in tests/contract/test_reminders.py, against the real rest_service.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from assistant.src.core.errors import InvalidInputError, ToolExecutionError
from assistant.src.services.reminders import NoReminderError, Reminders
from service_kit.backoff import Backoff
from service_kit.contracts.cron import CronJobCreate
from service_kit.rest import client as rest_client
from service_kit.rest.client import AsyncRestClient
from service_kit.settings import RestClientSettings

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
Answer = Callable[[httpx2.Request], httpx2.Response]


def job(number: int, **fields: Any) -> dict[str, Any]:
    values = {
        "id": number,
        "name": "Tea",
        "type": "notification",
        "timezone": "Europe/Berlin",
        "user_id": 1,
        "chat_id": 1001,
        "message": "Tea",
        "priority": "normal",
        "is_active": True,
        "status": "active",
        "next_run_at": (NOON - timedelta(minutes=number)).isoformat(),
        "created_at": NOON.isoformat(),
        "updated_at": NOON.isoformat(),
    }
    return values | fields


def refused(status: int, message: str = "no") -> httpx2.Response:
    return httpx2.Response(status, json={"code": "some_code", "message": message})


def reminders(answer: Answer) -> Reminders:
    settings = RestClientSettings(rest_service_url="http://rest_service", service_api_key=SecretStr("key"))
    return Reminders(AsyncRestClient(settings, transport=httpx2.MockTransport(answer)))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_client, "BACKOFF", Backoff(0, 0))


async def test_all_pages_soonest_first():
    rows = [job(number) for number in range(1, 451)] + [job(451, next_run_at=None)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        wanted = request.url.params
        assert (wanted["user_id"], wanted["status"]) == ("1", "active")
        start = int(wanted["offset"])
        return httpx2.Response(200, json=rows[start : start + int(wanted["limit"])])

    found = await reminders(answer).of_user(1)
    assert [one.id for one in found] == [*range(450, 0, -1), 451]


async def test_a_cancelling_whose_answer_was_lost_is_a_cancelling():
    deleted: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json=job(7))
        deleted.append(request.url.path)
        if len(deleted) == 1:
            raise httpx2.ReadError("cut")
        return refused(404)

    assert (await reminders(answer).cancel(1, 7)).id == 7
    assert deleted == ["/api/cron-jobs/7"] * 2


async def test_somebody_elses_is_not_touched():
    methods: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        return httpx2.Response(200, json=job(7, user_id=2))

    with pytest.raises(NoReminderError):
        await reminders(answer).cancel(1, 7)
    assert methods == ["GET"]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (422, InvalidInputError, "the hour is wrong"),
        (409, InvalidInputError, "the hour is wrong"),
        (401, ToolExecutionError, "only the operator"),
        (403, ToolExecutionError, "only the operator"),
        (500, ToolExecutionError, "do not say that it has worked"),
        (503, ToolExecutionError, "do not say that it has worked"),
    ],
)
async def test_a_refusal_becomes_a_tools_error(status, error, told):
    new = CronJobCreate(name="x", message="x", user_id=1, run_at=NOON, idempotency_key="tg:1:1")
    with pytest.raises(error, match=told):
        await reminders(lambda _request: refused(status, "the hour is wrong")).create(new)


async def test_a_new_one_is_sent_again_under_its_key():
    keys: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(json.loads(request.content)["idempotency_key"])
        return refused(503) if len(keys) == 1 else httpx2.Response(201, json=job(7))

    new = CronJobCreate(name="x", message="x", user_id=1, run_at=NOON, idempotency_key="tg:1:1")
    assert (await reminders(answer).create(new)).id == 7
    assert keys == ["tg:1:1", "tg:1:1"]


async def test_a_zone_that_cannot_be_kept_is_no_failure():
    assert not await reminders(lambda _request: refused(503)).remember_zone(1, "Europe/Berlin")
