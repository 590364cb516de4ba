"""Whoever begins anew loses the rows of his threads, at little cost where nobody has any."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from assistant.src.storage.provider_threads import FORGET, ProviderThreads
from service_kit.clock import SystemClock
from service_kit.contracts.threads import UserThreadRead

pytestmark = pytest.mark.integration

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def row_of(user_id: int) -> UserThreadRead:
    return UserThreadRead(
        id=uuid4(),
        user_id=user_id,
        assistant_id=uuid4(),
        thread_id=f"conv_{user_id}",
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )


class Rows:
    """rest_service's threads; keeps what it is asked."""

    def __init__(self, *users: int) -> None:
        self.rows = [row_of(user) for user in users]
        self.asked: list[str] = []

    async def send(self, call: Any) -> Any:
        self.asked.append(call.method)
        if call.method == "DELETE":
            self.rows = [row for row in self.rows if not call.path.endswith(str(row.id))]
            return None
        wanted = call.params.get("user_id")
        return [row for row in self.rows if wanted in {None, row.user_id}][: call.params["limit"]]


def threads(redis: Any, rest: Any) -> ProviderThreads:
    return ProviderThreads(redis, rest, clock=SystemClock(), retention_s=60)


async def test_where_nobody_has_a_thread_one_question_serves_all(redis_client):
    rest = Rows()
    kept = threads(redis_client, rest)
    for user in range(50):
        await kept.forget(user)
    await kept.delete_forgotten_rows()
    assert rest.asked == ["GET"]
    assert await redis_client.exists(FORGET) == 0


@pytest.mark.parametrize("wishes", [(2,), (1, 2, 3)])
async def test_the_rows_of_those_who_wish_it_go_and_no_others(redis_client, wishes):
    rest = Rows(2, 4)
    kept = threads(redis_client, rest)
    for user in wishes:
        await kept.forget(user)
    await kept.delete_forgotten_rows()
    assert [row.user_id for row in rest.rows] == [4]
    assert await redis_client.exists(FORGET) == 0
