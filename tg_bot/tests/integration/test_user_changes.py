"""What is learned of a user reaches rest_service, however slow or away it is meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.exceptions import RedisError

from service_kit.changes import Topic
from service_kit.contracts.users import UserUpdate
from service_kit.lifecycle import end_tasks
from tg_bot.src.services import user_changes
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.user_changes import SEEN_EVERY, UserChanges
from tg_bot.tests.standin import BOT_ID, until

pytestmark = pytest.mark.integration

NOTED = f"{user_changes.PREFIX}{BOT_ID}"
BACK, GONE = UserUpdate(is_active=True), UserUpdate(is_active=False)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def user(rest_standin):
    return rest_standin.add(1001, is_active=False)


def patches(rest_standin):
    return sum(one.startswith("PATCH") for one in rest_standin.requests)


async def test_a_change_is_stored_at_once(changes, rest_standin, user, redis_client):
    await changes.apply(1001, BACK)
    assert user["is_active"] is True
    assert not await redis_client.exists(NOTED)


async def test_what_rest_service_does_not_take_is_made_good_by_whoever_lives_then(
    changes, rest, rest_standin, user, redis_client
):
    rest_standin.down = True
    await changes.apply(1001, BACK)
    await changes.flush()
    assert await redis_client.hkeys(NOTED) == [b"1001:is_active"]
    rest_standin.down = False
    await UserChanges(Identity(BOT_ID), rest, redis_client).flush()  # the bot was restarted meanwhile
    assert user["is_active"] is True
    assert not await redis_client.exists(NOTED)


async def test_a_rest_service_that_hangs_holds_nobody_up(changes, rest_standin, user, monkeypatch):
    monkeypatch.setattr(user_changes, "UPDATE_TIMEOUT", 0.02)
    rest_standin.may_answer.clear()
    async with asyncio.timeout(5):
        await changes.apply(1001, BACK)
        await changes.flush()
    rest_standin.may_answer.set()
    monkeypatch.undo()
    await changes.flush()
    assert user["is_active"] is True


async def test_the_last_word_stands(changes, rest_standin, user, redis_client):
    user["is_active"] = True
    rest_standin.down = True
    await changes.apply(1001, GONE)
    await changes.apply(1001, UserUpdate(first_name="Grace"))
    rest_standin.down = False
    await changes.apply(1001, BACK)  # as rest_service has it: nothing to store, but the note is old
    await changes.flush()
    assert (user["is_active"], user["first_name"]) == (True, "Grace")
    assert not await redis_client.exists(NOTED)


async def test_what_is_noted_while_it_is_written_stays(changes, rest_standin, user, redis_client):
    rest_standin.down = True
    await changes.apply(1001, BACK)
    rest_standin.down = False

    async def gone_again():
        await redis_client.hset(NOTED, "1001:is_active", "false")

    rest_standin.on_change = gone_again
    await changes.flush()
    assert await redis_client.hgetall(NOTED) == {b"1001:is_active": b"false"}


async def test_who_is_unknown_or_cannot_be_changed_is_left(changes, rest_standin, user, redis_client):
    await changes.apply(2002, BACK)
    rest_standin.down = True
    await changes.apply(2002, BACK)
    await changes.apply(1001, BACK)
    rest_standin.down = False
    rest_standin.users.clear()  # deleted meanwhile
    await changes.flush()
    assert not await redis_client.exists(NOTED)


async def test_one_user_that_rest_service_breaks_on_holds_up_no_other(
    changes, rest_standin, user, redis_client, monkeypatch
):
    monkeypatch.setattr(user_changes, "MOST_FAILURES", 1)
    others = [rest_standin.add(3000 + number, is_active=False) for number in range(5)]
    rest_standin.down = True
    for one in (user, *others):
        await changes.apply(one["telegram_id"], BACK)
    rest_standin.down = False
    rest_standin.broken = {user["id"]}

    async def others_are_done():
        await changes.flush()
        return all(one["is_active"] for one in others)

    await until(others_are_done)
    assert await redis_client.hkeys(NOTED) == [b"1001:is_active"]


async def test_while_it_is_away_a_round_is_short(changes, rest_standin, redis_client):
    rest_standin.down = True
    for number in range(10):
        await redis_client.hset(NOTED, f"{number}:is_active", "true")
    await changes.flush()
    assert len(rest_standin.requests) == 3 * user_changes.MOST_FAILURES  # each is asked for three times


async def test_when_a_user_was_last_seen_is_written_now_and_then(rest, rest_standin, user, redis_client):
    now = 1000.0
    changes = UserChanges(Identity(BOT_ID), rest, redis_client, now=lambda: now)
    for minute in range(4):
        changes.record_seen(1001, NOON + timedelta(minutes=minute))
        await changes.flush()
    assert user["last_seen_at"] == "2026-11-22T12:00:00Z"
    assert patches(rest_standin) == 1
    assert await redis_client.get(Topic.USERS) is None  # no cache is emptied
    now += SEEN_EVERY
    changes.record_seen(1001, NOON + timedelta(minutes=5))
    changes.record_seen(2002, NOON)
    rest_standin.down = True
    await changes.flush()
    rest_standin.down = False
    await changes.flush()
    assert user["last_seen_at"] == "2026-11-22T12:05:00Z"
    assert changes._seen == {}
    assert patches(rest_standin) >= 2
    now += SEEN_EVERY
    changes.record_seen(3003, NOON)
    assert list(changes._seen_until) == [3003]


async def test_it_goes_on_by_itself_whatever_fails(changes, rest_standin, user, redis_client, monkeypatch):
    monkeypatch.setattr(user_changes, "FLUSH_EVERY", 0.01)
    original, failed = redis_client.hgetall, asyncio.Event()

    async def fails_once(key):
        if not failed.is_set():
            failed.set()
            raise RedisError("away")
        return await original(key)

    monkeypatch.setattr(redis_client, "hgetall", fails_once)
    task = asyncio.ensure_future(changes.run())
    await redis_client.hset(NOTED, "1001:is_active", "true")
    await until(lambda: user["is_active"] is True)
    assert failed.is_set()
    await end_tasks([task])


async def test_while_it_is_away_it_is_asked_less_often(rest, rest_standin, user, redis_client):
    pauses, away, back = [], asyncio.Event(), asyncio.Event()

    async def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 5:
            away.set()
            await back.wait()
        if len(pauses) == 7:
            await asyncio.Event().wait()

    changes = UserChanges(Identity(BOT_ID), rest, redis_client, sleep=sleep)
    rest_standin.down = True
    await changes.apply(1001, BACK)
    task = asyncio.ensure_future(changes.run())
    await away.wait()
    rest_standin.down = False
    back.set()
    await until(lambda: len(pauses) == 7)
    assert pauses == [5, 10, 20, 30, 30, 5, 5]
    assert user["is_active"] is True
    await end_tasks([task])
