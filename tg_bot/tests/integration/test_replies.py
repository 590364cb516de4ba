"""What stands on queue:to_telegram and what comes of it: address, form, limits, failures."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from redis.exceptions import ReadOnlyError

from service_kit.contracts.messages import OutgoingMessage, OutgoingType
from service_kit.oom_safe_writer import OomSafeWriter
from service_kit.queue.base import Delivery, Reject, RetryLater
from service_kit.queue.producer import RedisProducer
from service_kit.testing.queue import RedisBackend, consuming, until
from tg_bot.src.services import progress as progress_module
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.progress import Progress, ProgressStore
from tg_bot.src.services.rate_limiter import RateLimiter
from tg_bot.src.services.reply_sender import ReplySender
from tg_bot.src.services.response_handler import ResponseHandler, consumer_options
from tg_bot.src.services.typing_indicator import TypingIndicator
from tg_bot.tests.standin import BOT_ID, refusal

pytestmark = pytest.mark.integration


class Hands:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def hands():
    return Hands()


@pytest.fixture
def sender(client, redis_client, hands):
    return ReplySender(client, RateLimiter(30, 1, now=hands, sleep=hands.sleep), redis_client)


@pytest.fixture
def typing(client, redis_client):
    return TypingIndicator(client, partial(RedisProducer(redis_client).find_settled, "queue:in"), limit=60)


@pytest.fixture
def handler(sender, rest, changes, typing, rest_standin):
    rest_standin.add(1001)
    return ResponseHandler(Identity(BOT_ID), sender, rest, changes, typing)


def delivery(text="hello", *, attempt=0, **fields):
    message = {"v": 1, "id": "tg:1:r0", "type": "reply", "chat_id": 1001, "user_id": 1, "text": text} | fields
    raw = json.dumps({name: value for name, value in message.items() if value is not None}).encode()
    return Delivery(raw=raw, id=message["id"] or "", group="1001", attempt=attempt)


def sent_texts(telegram):
    return [one["text"] for one in telegram.sent]


async def test_a_reply_reaches_its_chat_with_entities(telegram, handler):
    assert await handler(delivery("**Привет** 😀")) == ()
    assert telegram.sent == [
        {"chat_id": 1001, "text": "Привет 😀", "entities": [{"type": "bold", "offset": 0, "length": 6}]}
    ]


@pytest.mark.parametrize("address", [{"chat_id": None}, {"user_id": None}, {}])
async def test_a_user_or_a_chat_is_address_enough(telegram, handler, address):
    await handler(delivery(**address))
    assert telegram.sent[0]["chat_id"] == 1001


async def test_a_notice_is_plain_text_and_a_notification_is_markdown(telegram, handler):
    await handler(delivery("*a*", type=OutgoingType.NOTICE))
    await handler(delivery("*a*", type=OutgoingType.NOTIFICATION, id="job:1:1"))
    assert sent_texts(telegram) == ["*a*", "a"]


async def test_what_was_sent_before_the_process_died_is_not_sent_again(telegram, handler):
    await handler(delivery())  # sent; then killed before the queue was told, and delivered as if new
    await handler(delivery())
    assert sent_texts(telegram) == ["hello"]


async def test_the_same_words_without_an_id_are_another_message(telegram, handler):
    await handler(delivery(id=None))
    await handler(delivery(id=None))
    assert sent_texts(telegram) == ["hello", "hello"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"chat_id": 9999, "user_id": None}, "unknown user or chat"),
        ({"user_id": 77}, "unknown user or chat"),
        ({"chat_id": -100500, "user_id": None}, "unknown user or chat"),
        ({"chat_id": 9999, "to_stranger": True}, "only a notice"),
        ({"type": "notice", "to_stranger": True}, "and a bot_id"),
        ({"type": "notice", "to_stranger": True, "bot_id": BOT_ID + 1}, "of bot 777001"),
        ({"type": "notice", "bot_id": BOT_ID + 1}, "of bot 777001"),
        ({"chat_id": None, "user_id": None}, "not an outgoing message"),
        ({"type": "song"}, "type: Input should be"),
        ({"text": ""}, "not an outgoing message: text"),
        ({"text": " \n "}, "no visible text"),
        ({"v": 2}, "not an outgoing message: v"),
    ],
)
async def test_what_cannot_be_delivered_is_rejected_with_the_reason(telegram, handler, fields, reason):
    with pytest.raises(Reject, match=reason):
        await handler(delivery(**fields))
    assert telegram.sent == []


async def test_a_refusal_reaches_a_stranger(telegram, handler):
    await handler(
        delivery("go away", chat_id=9999, user_id=None, type="notice", to_stranger=True, bot_id=BOT_ID)
    )
    assert telegram.sent == [{"chat_id": 9999, "text": "go away"}]


async def test_blocked_users_get_nothing(telegram, handler, rest_standin):
    rest_standin.add(2002, role="blocked")
    with pytest.raises(Reject, match="blocked"):
        await handler(delivery(chat_id=2002, user_id=2))
    assert telegram.sent == []


async def test_a_long_reply_comes_in_order_one_part_a_second(telegram, handler, hands):
    text = "\n\n".join(f"paragraph {number} " + "word " * 150 for number in range(20))
    await handler(delivery(text))
    assert len(telegram.sent) >= 4
    together = "\n\n".join(sent_texts(telegram))
    assert [line.split()[1] for line in together.split("\n") if line] == [str(one) for one in range(20)]
    assert hands.now - 1000 >= len(telegram.sent) - 1


@pytest.mark.parametrize("text", ["x" * 4096, "x" * 4097, "😀" * 2048, "😀" * 2049, "**x** " + "y" * 4096])
async def test_telegram_takes_the_longest_pieces_that_are_made(telegram, handler, text):
    await handler(delivery(text))
    assert "".join(sent_texts(telegram)).replace(" ", "") == text.replace("*", "").replace(" ", "")
    assert len(telegram.sent) <= 2


async def test_a_retry_goes_on_after_the_parts_that_were_sent(telegram, handler):
    text = "\n\n".join("word " * 700 for _ in range(3))
    telegram.refuse("sendChatAction")
    await handler(delivery("warm up", id="tg:0:r0"))
    telegram.sent.clear()
    original = telegram.send_message

    async def second_fails(body):
        if len(telegram.sent) == 1:
            telegram.send_message = original
            return telegram._refused(refusal(502, "Bad Gateway"))
        return await original(body)

    telegram.send_message = second_fails
    with pytest.raises(RetryLater):
        await handler(delivery(text))
    assert len(telegram.sent) == 1
    await handler(delivery(text, attempt=1))
    assert len(telegram.sent) == 3
    # a process that died right after the last part: the message comes once more
    await handler(delivery(text))
    assert len(telegram.sent) == 3


async def test_a_message_without_an_id_may_come_twice_on_purpose(telegram, handler):
    text = "\n\n".join("word " * 700 for _ in range(2))
    for _ in range(2):
        await handler(delivery(text, id=None))
    assert len(telegram.sent) == 4


async def test_what_telegram_cannot_parse_goes_out_plain(telegram, handler):
    telegram.refuse("sendMessage", refusal(400, "Bad Request: can't parse entities: ..."))
    await handler(delivery("**bold**"))
    assert telegram.sent == [{"chat_id": 1001, "text": "bold"}]


async def test_a_400_for_plain_text_is_final(telegram, handler):
    telegram.refuse("sendMessage", refusal(400, "Bad Request: text must be encoded in UTF-8"))
    with pytest.raises(Reject, match="UTF-8"):
        await handler(delivery("plain"))


async def test_a_short_429_is_waited_out(telegram, handler, hands):
    telegram.refuse("sendMessage", refusal(429, "Too Many Requests", retry_after=7))
    await handler(delivery())
    assert sent_texts(telegram) == ["hello"]
    assert hands.now >= 1007


async def test_a_long_429_gives_the_message_back_and_holds_the_chat(telegram, handler, rest_standin):
    rest_standin.add(2002)
    telegram.refuse("sendMessage", refusal(429, "Too Many Requests", retry_after=13_938))
    with pytest.raises(RetryLater) as caught:
        await handler(delivery())
    assert caught.value.delay == pytest.approx(13_938, abs=2)
    with pytest.raises(RetryLater):
        await handler(delivery(id="tg:2:r0"))
    assert telegram.count("sendMessage") == 1
    await handler(delivery(chat_id=2002, user_id=2))
    assert [one["chat_id"] for one in telegram.sent] == [2002]


@pytest.mark.parametrize(
    "description", ["Forbidden: bot was blocked by the user", "Bad Request: chat not found"]
)
async def test_who_cannot_be_reached_is_marked(telegram, handler, rest_standin, description):
    code = 403 if "Forbidden" in description else 400
    telegram.refuse("sendMessage", *[refusal(code, description)] * 2)
    for _ in range(2):
        with pytest.raises(Reject, match=description):
            await handler(delivery())
    assert rest_standin.users[1]["is_active"] is False
    assert sum(one.startswith("PATCH") for one in rest_standin.requests) == 1


async def test_a_group_that_moved_is_followed(telegram, handler):
    telegram.refuse("sendMessage", refusal(400, "Bad Request: group upgraded", migrate_to_chat_id=-100123))
    await handler(delivery(chat_id=-5, user_id=None, type="notice", to_stranger=True, bot_id=BOT_ID))
    assert telegram.sent == [{"chat_id": -100123, "text": "hello"}]


async def test_an_unanswered_send_is_repeated_once_and_only_when_telegram_answers(telegram, handler):
    telegram.refuse("sendMessage", "drop", "drop")
    telegram.refuse("getMe", refusal(502, "Bad Gateway"))
    with pytest.raises(RetryLater):
        await handler(delivery())
    with pytest.raises(RetryLater):  # still down: the one repetition is not wasted
        await handler(delivery(attempt=1))
    assert telegram.count("sendMessage") == 1
    with pytest.raises(Reject, match="may have arrived"):
        await handler(delivery(attempt=2))
    assert telegram.count("sendMessage") == 2


async def test_an_unanswered_send_that_is_repeated_well_is_done(telegram, handler):
    telegram.refuse("sendMessage", "drop")
    with pytest.raises(RetryLater):
        await handler(delivery())
    await handler(delivery(attempt=1))
    assert sent_texts(telegram) == ["hello"]


@pytest.mark.parametrize("code", [500, 502, 504])
async def test_a_gateway_that_hides_what_telegram_did_makes_no_third_message(telegram, handler, code):
    """Telegram carries each call out, and a gateway in front of it answers in its place."""
    original = telegram.send_message

    async def carried_out(body):
        await original(body)
        return telegram._refused(refusal(code, "Gateway"))

    telegram.send_message = carried_out
    with pytest.raises(RetryLater):
        await handler(delivery())
    with pytest.raises(Reject, match="may have arrived"):
        await handler(delivery(attempt=1))
    assert sent_texts(telegram) == ["hello", "hello"]


async def test_an_uncertain_part_costs_no_later_one_its_own_repetition(telegram, handler):
    telegram.refuse("sendMessage", "drop")
    text = "\n\n".join(f"{number} " + "word " * 700 for number in range(2))
    with pytest.raises(RetryLater):
        await handler(delivery(text))
    original = telegram.send_message

    async def second_drops(body):
        if len(telegram.sent) == 1:
            telegram.send_message = original
            telegram.refuse("sendMessage", "drop")
            return telegram._refused(refusal(429, "Too Many Requests", retry_after=1))
        return await original(body)

    telegram.send_message = second_drops
    with pytest.raises(RetryLater):  # the first part is repeated and arrives, the second is uncertain
        await handler(delivery(text, attempt=1))
    await handler(delivery(text, attempt=2))
    assert [one.split()[0] for one in sent_texts(telegram)] == ["0", "1"]


@pytest.fixture
async def full_redis(redis_client):
    """A function that makes Redis refuse what needs memory, until the test is over."""

    async def fill():
        await redis_client.config_set("maxmemory-policy", "noeviction")
        await redis_client.config_set("maxmemory", "1mb")

    yield fill
    await redis_client.config_set("maxmemory", "0")


@pytest.fixture(params=["full", "refusing"])
async def reluctant_redis(request, full_redis, monkeypatch):
    """A function that makes Redis take nothing but what acknowledges, or not even that."""

    async def refuse(_notes, *_commands):
        raise ReadOnlyError("You can't write against a read only replica.")

    async def refuse_notes():
        monkeypatch.setattr(OomSafeWriter, "write", refuse)

    return full_redis if request.param == "full" else refuse_notes


async def test_what_arrived_is_not_sent_again_because_it_could_not_be_noted(
    telegram, handler, reluctant_redis
):
    await reluctant_redis()
    for attempt in range(6):  # the queue could not be told either
        await handler(delivery(attempt=attempt))
    assert sent_texts(telegram) == ["hello"]


async def test_a_retry_goes_on_where_it_stopped_without_notes(telegram, handler, hands, reluctant_redis):
    text = "\n\n".join(f"{number} " + "word " * 700 for number in range(3))
    original = telegram.send_message

    async def third_fails(body):
        if len(telegram.sent) == 2:
            telegram.send_message = original
            return telegram._refused(refusal(429, "Too Many Requests", retry_after=500))
        return await original(body)

    telegram.send_message = third_fails
    await reluctant_redis()
    with pytest.raises(RetryLater):
        await handler(delivery(text))
    hands.now += 500
    await handler(delivery(text, attempt=1))
    assert [one.split()[0] for one in sent_texts(telegram)] == ["0", "1", "2"]


async def test_an_uncertain_part_is_repeated_once_without_notes(telegram, handler, reluctant_redis):
    telegram.refuse("sendMessage", "drop", "drop")
    await reluctant_redis()
    with pytest.raises(RetryLater):
        await handler(delivery())
    with pytest.raises(Reject, match="may have arrived"):
        await handler(delivery(attempt=1))
    assert telegram.count("sendMessage") == 2


async def test_a_full_redis_keeps_the_note_for_the_next_life(redis_client, full_redis):
    await full_redis()
    await ProgressStore(redis_client).save("key", Progress(1), parts=2)
    assert await ProgressStore(redis_client).load("key") == Progress(1)
    assert 80_000 < await redis_client.ttl("part:key") <= 86_400
    await ProgressStore(redis_client).save("key", Progress(2), parts=2)
    assert 3_000 < await redis_client.ttl("part:key") <= 3_600


async def test_what_another_instance_has_sent_counts_more_than_what_we_know(redis_client):
    mine, other = ProgressStore(redis_client), ProgressStore(redis_client)
    mine._unstored["key"] = Progress(1, unsure=True)
    assert await mine.load("key") == Progress(1, unsure=True)
    await other.save("key", Progress(2), parts=2)
    assert await mine.load("key") == Progress(2)


async def test_what_redis_refused_is_kept_within_bounds(redis_client, monkeypatch):
    async def refuse(*_commands):
        raise ReadOnlyError("You can't write against a read only replica.")

    monkeypatch.setattr(progress_module, "MAX_UNSTORED", 2)
    store = ProgressStore(redis_client)
    monkeypatch.setattr(store._writer, "write", refuse)
    for number in range(3):
        await store.save(str(number), Progress(1), parts=2)
    assert [await store.load(str(number)) for number in range(3)] == [Progress(0), Progress(1), Progress(1)]


async def test_a_note_waits_for_a_hanging_redis_no_longer_than_its_limit(redis_client, monkeypatch):
    async def hang(*_commands):
        await asyncio.Event().wait()

    monkeypatch.setattr(progress_module, "STORE_TIMEOUT", 0.02)
    store = ProgressStore(redis_client)
    monkeypatch.setattr(store._writer, "write", hang)
    async with asyncio.timeout(5):
        await store.save("key", Progress(1), parts=2)
    assert await store.load("key") == Progress(1)


async def test_trouble_is_waited_out_for_a_day_however_often_it_was_tried(telegram, handler):
    telegram.refuse("sendMessage", *[refusal(500, "Internal Server Error")] * 2)
    telegram.refuse("getMe", refusal(500, "Internal Server Error"))
    for attempt in (0, 10_000):
        with pytest.raises(RetryLater) as caught:
            await handler(delivery(attempt=attempt))
        assert caught.value.delay is None
    assert consumer_options("queue", "slot", drain_timeout=1).longest_wait == 86_400


async def test_while_rest_service_is_away_replies_to_others_wait(telegram, handler, rest_standin):
    await handler(delivery())
    rest_standin.add(2002)
    rest_standin.down = True
    await handler(delivery("known", id="tg:2:r0"))
    with pytest.raises(RetryLater):
        await handler(delivery(chat_id=2002, user_id=2))
    assert sent_texts(telegram) == ["hello", "known"]


async def test_a_bug_of_ours_is_tried_five_times_and_waits_do_not_count(
    handler, monkeypatch, redis_settings, redis_client
):
    def broken(*_args, **_options):
        tried.append(1)
        if len(tried) < 10:
            raise RetryLater("away", delay=0)
        return 1 / 0

    tried: list[int] = []
    monkeypatch.setattr("tg_bot.src.services.response_handler.render", broken)
    backend = RedisBackend(redis_settings, redis_client)
    options = replace(consumer_options("queue", "slot", drain_timeout=1), backoff=lambda _attempt: 0.0)
    await backend.push("queue", delivery().raw)
    async with consuming(backend.consumer(options, handler)):
        await until(lambda: backend.dead("queue"))
    assert len(tried) == 9 + 5


async def test_what_is_sent_or_never_will_be_ends_typing(telegram, handler, typing):
    telegram.refuse("sendMessage", refusal(429, "Too Many Requests", retry_after=500))
    for number, text in enumerate(("late", "hello", " \n ")):
        typing.begin(1001, f"tg:{number}")
        with suppress(RetryLater, Reject):
            await handler(delivery(text, id=f"tg:{number}:r0", in_reply_to=f"tg:{number}"))
    typing.begin(9999, "tg:9")
    with pytest.raises(Reject, match="unknown user"):
        await handler(delivery(chat_id=9999, user_id=77, in_reply_to="tg:9"))
    assert typing._waiting == {}


def test_the_longest_reply_of_the_contract_can_be_sent():
    message = OutgoingMessage(chat_id=1, text="word " * 26_000)
    assert len(message.text) == 130_000
