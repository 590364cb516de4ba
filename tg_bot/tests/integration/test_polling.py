"""Polling with real Redis: offsets, leases, refusals, malformed updates, back pressure."""

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from redis.exceptions import RedisError

from service_kit.contracts.errors import ErrorBody
from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.errors import AccessError, ContractError, RestUnavailableError
from service_kit.lifecycle import end_tasks
from service_kit.queue.producer import RedisProducer
from tg_bot.src.handlers.base import Bot
from tg_bot.src.main import handle_telegram_update
from tg_bot.src.services import lanes as lanes_module
from tg_bot.src.services import lease as lease_module
from tg_bot.src.services import poller as poller_module
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.intake import Intake
from tg_bot.src.services.lanes import Lanes
from tg_bot.src.services.lease import PollLease
from tg_bot.src.services.poller import NotPollingError, Poller, PollOptions
from tg_bot.src.services.throttle import Throttle
from tg_bot.src.services.typing_indicator import TypingIndicator
from tg_bot.src.services.user_changes import UserChanges
from tg_bot.src.utils.texts import ENGLISH
from tg_bot.tests.standin import BOT_ID, NOW, TOKEN, client_of, refusal, until

pytestmark = pytest.mark.integration

OFFSET = "tg:offset:777000"
NEWCOMER = 2002


async def for_the_assistant(update):
    message = update.message
    return IncomingMessage(
        id=f"tg:{update.update_id}", user_id=1, chat_id=message.chat.id, text=message.text or "?"
    )


class Naps:
    """Sleeps only a moment, and remembers how long it should have."""

    def __init__(self):
        self.seconds = []

    async def __call__(self, seconds):
        self.seconds.append(seconds)
        await asyncio.sleep(0.005)


class Rig:
    """One bot process's polling side."""

    def __init__(self, client, redis, *, handle=for_the_assistant, slot="slot", limit=1000):
        self.naps = Naps()
        self.started = 0
        producer = RedisProducer(redis)
        self.typing = TypingIndicator(client, partial(producer.find_settled, "queue:in"), limit=60)
        self.lanes = Lanes(handle, Identity(BOT_ID))
        self.intake = Intake(
            producer,
            self.typing,
            self.lanes,
            input_queue="queue:in",
            output_queue="queue:out",
        )
        self.poller = Poller(
            client,
            producer,
            PollLease(redis, slot),
            self.intake,
            redis=redis,
            options=PollOptions(input_queue="queue:in", input_queue_limit=limit, poll_timeout=1),
            on_start=self._on_start,
            sleep=self.naps,
        )

    async def _on_start(self, bot):
        assert bot.id == BOT_ID
        self.started += 1

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.poller.run())
        try:
            yield self
        finally:
            assert not task.done(), task
            await end_tasks([task])


async def texts(redis, queue="queue:in"):
    return [json.loads(raw)["text"] for raw in await redis.lrange(queue, 0, -1)]


def has(redis, *expected, queue="queue:in"):
    async def check():
        return await texts(redis, queue) == list(expected)

    return check


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


PERSON: dict[str, Any] = {"id": 1001, "first_name": "Ada"}
PRIVATE = {"id": 1001, "type": "private"}
BODY: dict[str, Any] = {"message_id": 1, "date": NOW, "chat": PRIVATE, "from": PERSON, "text": "hi"}
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


async def test_what_cannot_be_decided_now_comes_again(telegram, client, redis_client):
    away = True

    async def handle(update):
        if away and update.message.text == "stranger":
            raise RestUnavailableError("GET /api/users: ConnectError")
        return await for_the_assistant(update)

    for text in ("known", "stranger", "behind"):
        await telegram.write(text)
    async with Rig(client, redis_client, handle=handle).running() as rig:
        await until(has(redis_client, "known"))
        await until(lambda: len(rig.naps.seconds) >= 3)
        assert rig.naps.seconds[0] < rig.naps.seconds[2]
        with pytest.raises(NotPollingError, match="ConnectError"):
            await rig.poller.check()
        away = False
        await until(has(redis_client, "known", "stranger", "behind"))


async def refusing_the_newcomer(update):
    """rest_service refuses: what is not known cannot be decided."""
    if update.message.sender.id == NEWCOMER:
        raise RestUnavailableError("GET /api/users/by-telegram-id/2002: ConnectError")
    return await for_the_assistant(update)


async def hanging_for_the_newcomer(update):
    """rest_service hangs."""
    if update.message.sender.id == NEWCOMER:
        await asyncio.Event().wait()
    return await for_the_assistant(update)


async def forbidding_the_newcomer(update):
    """Our key is wrong, or does not reach that far."""
    if update.message.sender.id == NEWCOMER:
        raise AccessError(403, ErrorBody(code="forbidden", message="no"))
    return await for_the_assistant(update)


@pytest.mark.parametrize("handle", [refusing_the_newcomer, hanging_for_the_newcomer, forbidding_the_newcomer])
async def test_who_has_waited_too_long_is_told_so_once(telegram, client, redis_client, monkeypatch, handle):
    monkeypatch.setattr(lanes_module, "BATCH_TIMEOUT", 0.02)
    monkeypatch.setattr(lanes_module, "MAX_DEFERRAL", 0.2)
    await telegram.write("who am I", user=NEWCOMER)
    await telegram.write("and again", user=NEWCOMER)
    last = await telegram.write("hello")
    async with Rig(client, redis_client, handle=handle).running() as rig:
        await telegram.until(lambda: not telegram.updates)
        await rig.poller.check()
    assert await texts(redis_client) == ["hello"]
    (raw,) = await redis_client.lrange("queue:out", 0, -1)
    notice = OutgoingMessage.model_validate_json(raw)
    assert (notice.chat_id, notice.text, notice.to_stranger) == (NEWCOMER, ENGLISH.failed, True)
    assert int(await redis_client.get(OFFSET)) == last + 1


@pytest.mark.parametrize("handle", [refusing_the_newcomer, hanging_for_the_newcomer])
async def test_one_that_cannot_be_decided_does_not_stop_the_bot_at_the_hundredth(
    telegram, client, redis_client, monkeypatch, handle
):
    monkeypatch.setattr(lanes_module, "BATCH_TIMEOUT", 0.02)
    monkeypatch.setattr(lanes_module, "MAX_DEFERRAL_WHEN_FULL", 0.1)
    await telegram.write("who am I", user=NEWCOMER)
    for number in range(150):
        await telegram.write(f"text {number}", user=3000 + number % 7)
    async with Rig(client, redis_client, handle=handle).running():
        await telegram.until(lambda: not telegram.updates)
    assert sorted(await texts(redis_client)) == sorted(f"text {number}" for number in range(150))
    assert await texts(redis_client, "queue:out") == [ENGLISH.failed]


async def test_while_nobody_can_be_served_all_wait(telegram, client, redis_client, monkeypatch):
    monkeypatch.setattr(lanes_module, "MAX_DEFERRAL_WHEN_FULL", 0)
    away = True

    async def handle(update):
        if away:
            raise RestUnavailableError("GET /api/users: ConnectError")
        return await for_the_assistant(update)

    for number in range(120):
        await telegram.write(f"text {number}", user=3000 + number)
    async with Rig(client, redis_client, handle=handle).running() as rig:
        await until(lambda: len(rig.naps.seconds) >= 3)
        away = False
        await telegram.until(lambda: not telegram.updates)
    assert len(await texts(redis_client)) == 120
    assert await texts(redis_client, "queue:out") == []


async def test_an_answer_that_breaks_the_contract_costs_one_update(telegram, client, redis_client):
    async def handle(update):
        if update.message.sender.id == NEWCOMER:
            raise ContractError("GET /api/users/by-telegram-id/2002: the answer breaks the contract")
        return await for_the_assistant(update)

    await telegram.write("who am I", user=NEWCOMER)
    await telegram.write("hello")
    async with Rig(client, redis_client, handle=handle).running() as rig:
        await telegram.until(lambda: not telegram.updates)
        assert rig.naps.seconds == []
    assert (await texts(redis_client), await texts(redis_client, "queue:out")) == (
        ["hello"],
        [ENGLISH.failed],
    )


@pytest.mark.parametrize("handle", [refusing_the_newcomer, hanging_for_the_newcomer])
async def test_who_waits_for_rest_service_keeps_no_other_chat_waiting(
    telegram, client, redis_client, monkeypatch, handle
):
    monkeypatch.setattr(lanes_module, "BATCH_TIMEOUT", 0.05)
    await telegram.write("hello")
    first = await telegram.write("who am I", user=NEWCOMER)
    await telegram.write("and I?")
    async with Rig(client, redis_client, handle=handle).running() as rig:
        await until(has(redis_client, "hello", "and I?"))
        await telegram.write("me again", user=NEWCOMER)
        await telegram.write("one more")
        await until(has(redis_client, "hello", "and I?", "one more"))
        assert int(await redis_client.get(OFFSET)) == first
        assert len(telegram.updates) == 4
        await until(lambda: len(rig.naps.seconds) >= 12)
        assert max(rig.naps.seconds) <= 1.2
        with pytest.raises(NotPollingError):
            await rig.poller.check()


async def test_what_was_stored_behind_one_that_waits_is_passed_over(
    telegram, client, redis_client, monkeypatch
):
    away, asked, began = True, [], []

    async def handle(update):
        asked.append(update.message.text)
        return await (refusing_the_newcomer if away else for_the_assistant)(update)

    await telegram.write("first", user=NEWCOMER)
    await telegram.write("second", user=NEWCOMER)
    await telegram.write("known")
    rig = Rig(client, redis_client, handle=handle)
    monkeypatch.setattr(rig.typing, "begin", lambda _chat, message_id: began.append(message_id))
    async with rig.running():
        await until(has(redis_client, "known"))
        async for mark in redis_client.scan_iter("*seen*"):  # an outage of more than a day
            await redis_client.delete(mark)
        await until(lambda: asked.count("first") >= 5)
        assert asked.count("known") == 1
        assert "second" not in asked
        last = await telegram.write("known again")
        away = False
        await until(has(redis_client, "known", "first", "second", "known again"))
        await telegram.until(lambda: not telegram.updates)
        await rig.poller.check()
    assert int(await redis_client.get(OFFSET)) == last + 1
    assert len(began) == len(set(began)) == 4
    assert len(rig.lanes) == 0


async def test_another_instance_does_not_repeat_what_was_stored_behind_one_that_waits(
    telegram, client, redis_client
):
    await telegram.write("first", user=NEWCOMER)
    await telegram.write("known")
    async with Rig(client, redis_client, handle=hanging_for_the_newcomer).running():
        await until(has(redis_client, "known"))
    async with Rig(client, redis_client).running():
        await until(has(redis_client, "known", "first"))
        await telegram.until(lambda: not telegram.updates)


async def test_what_another_instance_has_served_meanwhile_is_not_decided_again(client, redis_client):
    away, asked = True, []

    async def handle(update):
        asked.append(update.message.text)
        return await (refusing_the_newcomer if away else for_the_assistant)(update)

    body = BODY | {"from": PERSON | {"id": NEWCOMER}}
    rig = Rig(client, redis_client, handle=handle)
    with pytest.raises(lanes_module.DeferredError):
        await rig.intake.take(OFFSET, [{"update_id": 7000, "message": body | {"text": "old"}}])
    away = False
    rig.intake.resume(7001)
    await rig.intake.take(OFFSET, [{"update_id": 7001, "message": body | {"text": "new"}}])
    assert asked == ["old", "new"]
    assert await texts(redis_client) == ["new"]


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


async def test_a_restarted_process_takes_its_predecessors_lease_at_once(redis_client):
    await redis_client.set("tg:poller:1", "a~dead-life", px=60_000)
    began = asyncio.Event()

    async def work():
        began.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(PollLease(redis_client, "a").hold("1", work))
    async with asyncio.timeout(5):
        await began.wait()
    await end_tasks([task])
    assert await redis_client.get("tg:poller:1") is None


async def test_who_loses_the_lease_stops_polling(redis_client, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.02)
    cancelled = asyncio.Event()

    async def work():
        await redis_client.set("tg:poller:1", "b~somebody")
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(lease_module.LeaseLostError):
        await PollLease(redis_client, "a").hold("1", work)
    assert cancelled.is_set()
    assert await redis_client.get("tg:poller:1") == b"b~somebody"


async def poll_for_ever():
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("trouble", ["refused", "hanging"])
async def test_a_lease_that_cannot_be_renewed_runs_out(redis_client, monkeypatch, trouble):
    monkeypatch.setattr(lease_module, "TTL", 0.2)
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.05)

    async def renew(**_arguments):
        if trouble == "hanging":
            await asyncio.Event().wait()
        raise RedisError("away")

    lease = PollLease(redis_client, "a")
    monkeypatch.setattr(lease, "_renew_script", renew)
    async with asyncio.timeout(10):
        with pytest.raises(lease_module.LeaseLostError, match="in time"):
            await lease.hold("1", poll_for_ever)


async def test_two_living_processes_of_one_slot_do_not_take_it_from_each_other(redis_client, monkeypatch):
    monkeypatch.setattr(lease_module, "RENEW_EVERY", 0.02)
    monkeypatch.setattr(lease_module, "STANDBY_EVERY", 0.01)
    first, second = PollLease(redis_client, "a"), PollLease(redis_client, "a")
    losing = asyncio.ensure_future(first.hold("1", poll_for_ever))
    await until(lambda: _holds(redis_client, first))
    keeping = asyncio.ensure_future(second.hold("1", poll_for_ever))
    with pytest.raises(lease_module.LeaseLostError):
        await losing
    assert await _holds(redis_client, second)
    tries, original = 0, first._acquire_script

    async def counted(**arguments):
        nonlocal tries
        tries += 1
        return await original(**arguments)

    monkeypatch.setattr(first, "_acquire_script", counted)
    waiting = asyncio.ensure_future(first.hold("1", poll_for_ever))
    await until(lambda: tries >= 5)
    assert await _holds(redis_client, second)
    assert not keeping.done()
    await end_tasks([waiting, keeping])


async def _holds(redis, lease):
    return await redis.get("tg:poller:1") == lease._me.encode()


async def _starts(redis, prefix):
    return (await redis.get("tg:poller:777000") or b"").startswith(prefix)
