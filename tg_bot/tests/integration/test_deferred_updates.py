"""Updates that cannot be decided now: who waits, who does not, and for how long."""

import asyncio

import pytest

from service_kit.contracts.errors import ErrorBody
from service_kit.contracts.messages import OutgoingMessage
from service_kit.errors import AccessError, ContractError, RestUnavailableError
from tg_bot.src.services import lanes as lanes_module
from tg_bot.src.services.poller import NotPollingError
from tg_bot.src.utils.texts import ENGLISH
from tg_bot.tests.rig import BODY, NEWCOMER, OFFSET, PERSON, Rig, for_the_assistant, has, texts
from tg_bot.tests.standin import until

pytestmark = pytest.mark.integration


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
