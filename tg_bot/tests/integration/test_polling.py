"""Polling with real Redis: offsets, refusals, malformed updates, back pressure."""

from functools import partial
from typing import Any

import pytest

from service_kit.contracts.messages import OutgoingMessage
from service_kit.queue.producer import RedisProducer
from tg_bot.src.handlers.base import Bot
from tg_bot.src.main import handle_telegram_update
from tg_bot.src.services import lease as lease_module
from tg_bot.src.services import poller as poller_module
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.poller import NotPollingError
from tg_bot.src.services.throttle import Throttle
from tg_bot.src.services.user_changes import UserChanges
from tg_bot.tests.rig import BODY, OFFSET, PERSON, PRIVATE, Rig, for_the_assistant, has, texts
from tg_bot.tests.standin import BOT_ID, TOKEN, client_of, refusal, until

pytestmark = pytest.mark.integration


async def test_updates_go_on_the_queue_in_order_and_are_confirmed(telegram, client, redis_client):
    async with Rig(client, redis_client).running() as rig:
        numbers = [await telegram.write(f"text {number}") for number in range(150)]
        await until(has(redis_client, *(f"text {number}" for number in range(150))))
        await telegram.until(lambda: not telegram.updates)
        await rig.poller.check()
    assert int(await redis_client.get(OFFSET)) == numbers[-1] + 1
    assert rig.started == 1


async def test_a_restart_neither_loses_nor_repeats(telegram, client, redis_client):
    await telegram.write("one")
    async with Rig(client, redis_client).running():
        await until(has(redis_client, "one"))
    # killed before the next poll could confirm it: Telegram gives it again
    await telegram.write("two")
    await redis_client.delete(OFFSET)
    async with Rig(client, redis_client).running():
        await until(has(redis_client, "one", "two"))
        await telegram.until(lambda: not telegram.updates)


async def test_an_offset_dies_before_telegram_numbers_anew(telegram, client, redis_client, monkeypatch):
    await telegram.write("one")
    async with Rig(client, redis_client).running():
        await until(has(redis_client, "one"))
        assert await redis_client.ttl(OFFSET) == -1
        await telegram.until(lambda: telegram.count("getUpdates") >= 3)
        assert 0 < await redis_client.ttl(OFFSET) <= 6 * 86_400
        monkeypatch.setattr(poller_module, "OFFSET_LIFE", 0)
        await telegram.until(lambda: "offset" not in telegram.calls[-1][1])


async def test_a_malformed_update_is_passed_over(telegram, client, redis_client):
    await telegram.push({"update_id": 4001, "message": {"text": 5}})
    await telegram.push({"message": "no id"})
    await telegram.write("good")
    await telegram.push({"update_id": 6001, "poll": {"id": "1"}, "message": None})

    async def handle(update):
        return await for_the_assistant(update) if update.message else None

    async with Rig(client, redis_client, handle=handle).running() as rig:
        await until(has(redis_client, "good"))
        await telegram.until(lambda: not telegram.updates)
    assert int(await redis_client.get(OFFSET)) == 6002
    assert rig.naps.seconds == []


@pytest.mark.parametrize("chat_type", ["group", "supergroup", "channel"])
async def test_a_bug_is_not_told_to_a_group(telegram, client, redis_client, chat_type):
    async def handle(_update):
        raise ZeroDivisionError

    await telegram.write("hello", chat={"id": -500, "type": chat_type})
    async with Rig(client, redis_client, handle=handle).running():
        await telegram.until(lambda: not telegram.updates)
    assert await texts(redis_client, "queue:out") == []


async def test_an_update_that_was_stored_before_shows_no_typing(client, redis_client):
    update = {"update_id": 7000, "message": BODY}
    first, second = Rig(client, redis_client), Rig(client, redis_client)
    await first.intake.take(OFFSET, [update])
    await second.intake.take(OFFSET, [update])
    assert list(first.typing._waiting) == [1001]
    assert second.typing._waiting == {}


async def test_a_bot_whose_polls_hang_is_not_ready(telegram, client, redis_client, monkeypatch):
    monkeypatch.setattr(poller_module, "POLL_OVERDUE", -1)  # beside the poll's own second
    async with Rig(client, redis_client).running() as rig:
        await telegram.until(lambda: telegram.count("getUpdates") >= 1)
        await until(lambda: rig.poller._problem is None)
        with pytest.raises(NotPollingError, match="no successful poll"):
            await rig.poller.check()


ODD_UPDATES: list[dict[str, Any]] = [
    {},
    {"message": None},
    {"message": BODY | {"from": None}},
    {"message": {name: value for name, value in BODY.items() if name != "from"}},
    {"message": BODY | {"chat": {"id": 1001, "type": "a_kind_of_next_year"}}},
    {"message": BODY | {"chat": None}},
    {"message": BODY | {"date": 10**18}},
    {"message": BODY | {"from": PERSON | {"id": 2**60}, "chat": {"id": 2**60, "type": "private"}}},
    {"message": BODY | {"from": PERSON | {"id": 2**70}}},
    {"message": BODY | {"from": PERSON | {"id": "Ada"}}},
    {"message": BODY | {"text": {"rich": True}}},
    {"message": []},
    {"message": "hi"},
    {"channel_post": BODY | {"chat": {"id": -100, "type": "channel"}}},
    {"edited_channel_post": BODY},
    {"business_message": BODY | {"business_connection_id": "x"}},
    {"business_connection": {"id": "x", "user": PERSON}},
    {"inline_query": {"id": "1", "from": PERSON, "query": ""}},
    {"callback_query": {"id": "1", "from": PERSON}},
    {"my_chat_member": {"chat": PRIVATE}},
    {"my_chat_member": {"chat": PRIVATE, "from": None, "new_chat_member": {"status": "member"}}},
    {"edited_message": BODY | {"text": None}},
    {"a_kind_of_next_year": {"anything": [1, 2, 3]}},
    {"message": BODY | {"a_field_of_next_year": {"a": 1}, "entities": [None, 5, {"type": 7}]}},
]


async def test_updates_of_every_shape_pass_harmlessly(telegram, client, rest, rest_standin, redis_client):
    rest_standin.add(1001)
    bot = Bot(
        identity=Identity(BOT_ID),
        rest=rest,
        changes=UserChanges(Identity(BOT_ID), rest, redis_client),
        throttle=Throttle(redis_client, Identity(BOT_ID)),
        producer=RedisProducer(redis_client),
        input_queue="queue:in",
        input_queue_limit=1000,
        owner_code=None,
        open_access=True,
    )
    for number, update in enumerate(ODD_UPDATES, start=7000):
        await telegram.push({"update_id": number} | update)
    last = 7000 + len(ODD_UPDATES)
    await telegram.push({"update_id": last, "message": BODY | {"text": "good"}})
    async with Rig(client, redis_client, handle=partial(handle_telegram_update, bot)).running() as rig:
        await until(has(redis_client, "hi", "good"))
        await rig.poller.check()
    assert int(await redis_client.get(OFFSET)) == last + 1
    assert await texts(redis_client, "queue:out") == []
    assert set(rest_standin.users) == {1}


async def test_an_update_without_a_usable_id_moves_no_offset(client, redis_client):
    rig = Rig(client, redis_client)
    odd = (True, None, "7100", 2**53, 2**70, -1, 0, [7101])
    updates = [{"update_id": number, "message": BODY} for number in odd]
    await rig.intake.take(OFFSET, [*updates, {"update_id": 7000, "message": BODY | {"text": "good"}}])
    assert await texts(redis_client) == ["good"]
    assert rig.intake.next == int(await redis_client.get(OFFSET)) == 7001


async def test_a_bug_in_a_handler_costs_one_update_and_says_so(telegram, client, redis_client):
    async def handle(update):
        if update.message.text == "bad":
            raise ZeroDivisionError
        return await for_the_assistant(update)

    for text in ("first", "bad", "last"):
        await telegram.write(text)
    async with Rig(client, redis_client, handle=handle).running():
        await until(has(redis_client, "first", "last"))
        await telegram.until(lambda: not telegram.updates)
    (notice,) = await redis_client.lrange("queue:out", 0, -1)
    assert OutgoingMessage.model_validate_json(notice).text.startswith("Sorry")


async def test_a_wrong_token_is_explained_and_tried_again_slowly(telegram, redis_client):
    async with (
        client_of(telegram, TOKEN + "x") as client,
        Rig(client, redis_client).running() as rig,
    ):
        await telegram.until(lambda: telegram.count("getMe") >= 3)
        with pytest.raises(NotPollingError, match="TELEGRAM_TOKEN"):
            await rig.poller.check()
    assert min(rig.naps.seconds) >= 48


async def test_a_webhook_is_removed_and_nothing_lost(telegram, client, redis_client):
    telegram.webhook = True
    await telegram.write("waited")
    async with Rig(client, redis_client).running():
        await until(has(redis_client, "waited"))
    assert telegram.count("deleteWebhook") == 1


async def test_another_poller_is_waited_out(telegram, client, redis_client):
    conflict = refusal(409, "Conflict: terminated by other getUpdates request; make sure that only one ...")
    telegram.refuse(
        "getUpdates", conflict, conflict, refusal(429, "Too Many Requests", retry_after=9), "drop"
    )
    await telegram.write("late")
    async with Rig(client, redis_client).running() as rig:
        await until(has(redis_client, "late"))
    assert telegram.count("deleteWebhook") == 0
    assert 7.2 <= rig.naps.seconds[2] <= 10.8


async def test_while_the_assistant_is_behind_updates_stay_at_telegram(telegram, client, redis_client):
    await redis_client.rpush("queue:in", *(['{"text": "old"}'] * 6))
    await telegram.write("new")
    async with Rig(client, redis_client, limit=5).running() as rig:
        await until(lambda: len(rig.naps.seconds) >= 3)
        assert telegram.count("getUpdates") == 0
        await rig.poller.check()
        await redis_client.delete("queue:in")
        await until(has(redis_client, "new"))


async def test_one_polls_and_the_standby_takes_over(telegram, client, redis_client, monkeypatch):
    monkeypatch.setattr(lease_module, "STANDBY_EVERY", 0.02)
    first, second = Rig(client, redis_client, slot="a"), Rig(client, redis_client, slot="b")
    async with second.running():
        await telegram.until(lambda: telegram.count("getUpdates") == 1)
        async with first.running():
            await telegram.until(lambda: telegram.count("getMe") == 2)
            await until(lambda: first.poller._problem is None)
            await first.poller.check()
            holder = await redis_client.get("tg:poller:777000")
            assert holder.startswith(b"b~")
    async with first.running():
        await until(lambda: _starts(redis_client, b"a~"))


async def _starts(redis, prefix):
    return (await redis.get("tg:poller:777000") or b"").startswith(prefix)
