"""What each kind of update leads to, with real Redis and rest_service's stand-in."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from service_kit.changes import Topic, announce
from service_kit.contracts.messages import IncomingMessage, IncomingType, OutgoingMessage, OutgoingType
from service_kit.contracts.users import UserRole, UserUpdate
from service_kit.errors import RestUnavailableError
from service_kit.queue.producer import RedisProducer
from tg_bot.src.client.models import ATTACHMENTS, Update
from tg_bot.src.handlers.base import Bot
from tg_bot.src.main import handle_telegram_update
from tg_bot.src.services import user_changes
from tg_bot.src.services.identity import Identity
from tg_bot.src.services.throttle import Throttle
from tg_bot.src.services.user_changes import UserChanges
from tg_bot.src.utils.texts import ENGLISH, RUSSIAN
from tg_bot.tests.standin import BOT_ID, NOW

pytestmark = pytest.mark.integration

CODE = "let-me-in-please"


@pytest.fixture
def bot(rest, redis_client):
    return make_bot(rest, redis_client)


def make_bot(rest, redis_client, **fields):
    return Bot(
        **{
            "rest": rest,
            "identity": Identity(BOT_ID),
            "changes": UserChanges(Identity(BOT_ID), rest, redis_client),
            "throttle": Throttle(redis_client, Identity(BOT_ID)),
            "producer": RedisProducer(redis_client),
            "input_queue": "queue:in",
            "input_queue_limit": 100,
            "owner_code": SecretStr(CODE),
            "open_access": False,
        }
        | fields
    )


def written(text=None, *, number=1, user=1001, chat=None, language="en", **fields):
    message = {
        "message_id": number,
        "date": NOW,
        "chat": chat or {"id": user, "type": "private"},
        "from": {"id": user, "first_name": "Ada", "username": "ada", "language_code": language},
    } | fields
    return Update.model_validate(
        {"update_id": number, "message": message | ({"text": text} if text is not None else {})}
    )


async def decide(bot, update) -> OutgoingMessage:
    """What the bot itself answers."""
    outcome = await handle_telegram_update(bot, update)
    assert isinstance(outcome, OutgoingMessage)
    return outcome


async def test_a_known_users_text_goes_to_the_assistant(bot, rest_standin):
    rest_standin.add(1001)
    outcome = await handle_telegram_update(bot, written("What time is it?", number=7))
    assert isinstance(outcome, IncomingMessage)
    assert (outcome.id, outcome.user_id, outcome.chat_id, outcome.text) == (
        "tg:7",
        1,
        1001,
        "What time is it?",
    )
    assert outcome.sent_at
    assert outcome.sent_at.timestamp() == NOW
    assert not [one for one in rest_standin.requests if one.startswith("PATCH")]


async def test_a_stranger_is_refused_once_in_a_while(bot, rest_standin):
    first = await decide(bot, written("hi", number=1, language="ru"))
    assert (first.text, first.to_stranger, first.type) == (RUSSIAN.stranger, True, OutgoingType.NOTICE)
    assert await handle_telegram_update(bot, written("hi?", number=2)) is None
    # the same update again, after a crash before the enqueue: the refusal is not swallowed
    assert await handle_telegram_update(bot, written("hi", number=1, language="ru")) == first
    assert rest_standin.users == {}


async def test_the_code_makes_the_first_owner(bot, rest_standin):
    outcome = await decide(bot, written(f"/start {CODE}", number=1, language="ru"))
    assert outcome.text == RUSSIAN.welcome_owner.format(name="Ada")
    assert rest_standin.users[1]["role"] == "owner"
    assert rest_standin.users[1]["language"] == "ru"
    again = await decide(bot, written(f"/start {CODE}", number=1))
    assert again.text == RUSSIAN.already_owner
    second = await decide(bot, written(f"/start {CODE}", number=2, user=2002))
    assert second.text == ENGLISH.owner_taken
    assert len(rest_standin.users) == 1
    rest_standin.add(3003)
    member = await decide(bot, written(f"/start {CODE}", number=3, user=3003))
    assert member.text == ENGLISH.owner_taken
    assert [one["role"] for one in rest_standin.users.values()] == ["owner", "member"]


@pytest.mark.parametrize("code", [CODE[:-1], CODE[0], CODE + "x", CODE.upper(), f"{CODE} {CODE}", "nonsense"])
async def test_what_is_not_the_whole_code_is_wrong(bot, rest_standin, code):
    assert (await decide(bot, written(f"/start {code}"))).text == ENGLISH.wrong_code
    assert rest_standin.users == {}


async def test_a_member_can_become_the_owner(bot, rest_standin):
    rest_standin.add(1001)
    await handle_telegram_update(bot, written(f"/start {CODE}"))
    assert rest_standin.users[1]["role"] == "owner"


async def test_wrong_codes_are_counted_and_then_even_the_right_one_fails(bot, rest_standin):
    for number in range(1, 6):
        outcome = await decide(bot, written("/start nonsense", number=number))
        assert outcome.text == ENGLISH.wrong_code
    assert (await decide(bot, written(f"/start {CODE}", number=6))).text == (ENGLISH.too_many_codes)
    assert (await decide(bot, written(f"/start {CODE}", number=7))).text == ENGLISH.stranger
    assert rest_standin.users == {}
    other = await decide(bot, written(f"/start {CODE}", number=8, user=2002))
    assert other.text == ENGLISH.welcome_owner.format(name="Ada")


async def test_each_bot_counts_and_numbers_on_its_own(bot, rest, redis_client):
    for number in range(1, 6):
        await decide(bot, written("/start nonsense", number=number))
    assert (await decide(bot, written(f"/start {CODE}", number=6))).text == ENGLISH.too_many_codes
    identity = Identity(BOT_ID + 1)
    other = make_bot(rest, redis_client, identity=identity, throttle=Throttle(redis_client, identity))
    welcome = await decide(other, written(f"/start {CODE}", number=6))
    assert welcome.text == ENGLISH.welcome_owner.format(name="Ada")
    assert (welcome.id, welcome.bot_id) == ("tg:6:r0", BOT_ID + 1)


async def test_a_repeated_update_counts_as_one_wrong_code(bot):
    for _ in range(9):
        outcome = await decide(bot, written("/start nonsense", number=1))
        assert outcome.text == ENGLISH.wrong_code


async def test_without_a_code_in_the_settings_nobody_becomes_owner(rest, redis_client, rest_standin):
    bot = make_bot(rest, redis_client, owner_code=None)
    assert (await decide(bot, written("/start None"))).text == ENGLISH.wrong_code
    assert rest_standin.users == {}


async def test_open_access_lets_everybody_in(rest, redis_client, rest_standin):
    bot = make_bot(rest, redis_client, open_access=True)
    outcome = await handle_telegram_update(bot, written("hello"))
    assert isinstance(outcome, IncomingMessage)
    assert rest_standin.users[1]["role"] == "member"
    greeting = await decide(bot, written("/start", number=2, user=2002))
    assert (greeting.text, greeting.user_id) == (ENGLISH.welcome.format(name="Ada"), 2)


async def test_blocked_users_hear_nothing(bot, rest_standin):
    rest_standin.add(1001, role="blocked")
    for text in ("hi", "/start", f"/start {CODE}", "/help", None):
        assert await handle_telegram_update(bot, written(text)) is None


async def test_who_writes_again_is_reachable_again_and_new_names_are_kept(bot, rest_standin):
    rest_standin.add(1001, is_active=False, first_name="Old", username=None, language="de")
    assert isinstance(await handle_telegram_update(bot, written("hi")), IncomingMessage)
    user = rest_standin.users[1]
    assert (user["is_active"], user["first_name"], user["username"], user["language"]) == (
        True,
        "Ada",
        "ada",
        "de",
    )
    await handle_telegram_update(bot, written("hi", number=2))
    assert sum(one.startswith("PATCH") for one in rest_standin.requests) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/help", ENGLISH.help),
        ("/start", ENGLISH.welcome_back.format(name="Ada")),
        ("/frobnicate now", ENGLISH.unknown_command.format(command="/frobnicate")),
        ("/timezone", f"{ENGLISH.zone_unknown}\n{ENGLISH.zone_how}"),
        ("/timezone Berlinn", "I do not know the time zone “Berlinn”. Did you mean Europe/Berlin?"),
        (
            "/timezone IST",
            ENGLISH.zone_several.format(
                wish="IST", zones="Asia/Kolkata, Europe/Dublin, Asia/Jerusalem", first="Asia/Kolkata"
            ),
        ),
        ("/timezone 12345", f"I do not know the time zone “12345”. {ENGLISH.zone_how}"),
        ("/status", ENGLISH.status.format(waiting=0, busy="", zone=ENGLISH.zone_unknown)),
        ("x" * 40_000, ENGLISH.too_long),
        ("   ", ENGLISH.not_text),
    ],
)
async def test_the_bots_own_answers(bot, rest_standin, text, expected):
    rest_standin.add(1001)
    outcome = await decide(bot, written(text, number=9))
    asked = "tg:9"
    assert (outcome.text, outcome.id, outcome.in_reply_to) == (expected, f"{asked}:r0", asked)
    assert (outcome.chat_id, outcome.user_id, outcome.to_stranger) == (1001, 1, False)


async def test_a_time_zone_is_set_by_its_city(bot, rest_standin):
    rest_standin.add(1001, language="ru")
    outcome = await decide(bot, written("/timezone Нью-Йорк"))
    assert outcome.text.startswith("Теперь ваш часовой пояс – America/New_York; там сейчас ")
    assert rest_standin.users[1]["timezone"] == "America/New_York"
    shown = await decide(bot, written("/timezone", number=2))
    assert shown.text.startswith("Ваш часовой пояс: America/New_York, сейчас ")


async def test_an_offset_is_told_with_the_sign_that_was_written(bot, rest_standin):
    rest_standin.add(1001)
    outcome = await decide(bot, written("/timezone UTC+3"))
    assert outcome.text.startswith("Your time zone is UTC+3 now;")
    assert rest_standin.users[1]["timezone"] == "Etc/GMT-3"


async def test_ten_photos_get_one_answer(bot, rest_standin):
    rest_standin.add(1001)
    photos = [written(number=one, photo=[{"file_id": "x"}]) for one in range(1, 11)]
    outcomes = [await handle_telegram_update(bot, photo) for photo in photos]
    assert sum(outcome is not None for outcome in outcomes) == 1


@pytest.mark.parametrize("kind", ATTACHMENTS)
async def test_a_caption_is_text(bot, rest_standin, kind):
    rest_standin.add(1001)
    content = {"file_id": "x"}
    outcome = await handle_telegram_update(
        bot, written(caption="What is the capital of France?", **{kind: content})
    )
    assert isinstance(outcome, IncomingMessage)
    assert outcome.text == "What is the capital of France?"
    bare = await decide(bot, written(number=2, **{kind: content}))
    assert bare.text == ENGLISH.not_text


async def test_a_caption_may_be_a_command(bot, rest_standin):
    rest_standin.add(1001)
    outcome = await handle_telegram_update(bot, written(caption="/new", photo=[{"file_id": "x"}]))
    assert isinstance(outcome, IncomingMessage)
    assert outcome.type is IncomingType.RESET


async def test_of_an_album_only_the_caption_is_answered(bot, rest_standin):
    rest_standin.add(1001)
    album = {"media_group_id": "a", "photo": [{"file_id": "x"}]}
    updates = [written(number=number, **album) for number in range(2, 5)]
    outcomes = [
        await handle_telegram_update(bot, one) for one in (written(caption="Look!", **album), *updates)
    ]
    assert isinstance(outcomes[0], IncomingMessage)
    assert outcomes[1:] == [None, None, None]


SERVICE_MESSAGES = {
    "pinned_message": {"message_id": 1, "date": NOW, "chat": {"id": 1001, "type": "private"}, "text": "hi"},
    "message_auto_delete_timer_changed": {"message_auto_delete_time": 86_400},
    "new_chat_title": "Friends",
    "new_chat_members": [{"id": 5, "is_bot": False, "first_name": "Bob"}],
    "users_shared": {"request_id": 1, "users": []},
    "chat_background_set": {"type": {"type": "fill"}},
    "forum_topic_created": {"name": "x", "icon_color": 1},
    "a_kind_of_next_year": {"anything": True},
}


@pytest.mark.parametrize("kind", SERVICE_MESSAGES)
@pytest.mark.parametrize("chat_type", ["private", "group", "supergroup"])
async def test_service_messages_get_no_reply(bot, rest_standin, kind, chat_type):
    rest_standin.add(1001)
    for number, user in enumerate((1001, 2002), start=1):  # a known user, a stranger
        chat = {"id": user if chat_type == "private" else -500, "type": chat_type}
        update = written(number=number, user=user, chat=chat, **{kind: SERVICE_MESSAGES[kind]})
        assert await handle_telegram_update(bot, update) is None
    assert set(rest_standin.users) == {1}


async def test_the_address_behind_a_linked_word_reaches_the_assistant(bot, rest_standin):
    rest_standin.add(1001)
    link = {"type": "text_link", "offset": 7, "length": 4, "url": "https://example.com/a"}
    said: list[dict[str, Any]] = [{"text": "😀 see here"}, {"caption": "😀 see here", "photo": [1]}]
    for number, fields in enumerate(said, start=1):
        entities = "entities" if "text" in fields else "caption_entities"
        outcome = await handle_telegram_update(bot, written(number=number, **fields, **{entities: [link]}))
        assert isinstance(outcome, IncomingMessage)
        assert outcome.text == "😀 see here (https://example.com/a)"


async def test_addresses_make_no_message_too_long(bot, rest_standin):
    rest_standin.add(1001)
    links = [
        {"type": "text_link", "offset": one, "length": 1, "url": "https://e.com/" + "x" * 2000}
        for one in range(50)
    ]
    outcome = await handle_telegram_update(bot, written("a" * 50, entities=links))
    assert isinstance(outcome, IncomingMessage)
    assert outcome.text == "a" * 50


@pytest.mark.parametrize(
    "person",
    [
        {"first_name": None},
        {"first_name": None, "last_name": None, "username": None, "language_code": None, "is_bot": None},
        {},
        {"first_name": "\ud83d Ada\0", "username": "\ud800"},
        {"first_name": "  "},
        {"first_name": "x" * 500, "username": "y" * 500, "language_code": "z" * 500},
        {"first_name": "Ada", "a_field_of_next_year": {"a": 1}},
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_whatever_a_person_is_called_they_are_answered(rest, redis_client, rest_standin, person, known):
    bot = make_bot(rest, redis_client, open_access=True)
    if known:
        rest_standin.add(1001)
    outcome = await handle_telegram_update(bot, written("hi", **{"from": {"id": 1001} | person}))
    assert isinstance(outcome, IncomingMessage)
    greeting = await decide(bot, written("/start", number=2, **{"from": {"id": 1001} | person}))
    assert greeting.text.startswith("Hello again")


async def test_a_text_that_utf_8_cannot_hold_is_answered(bot, rest_standin):
    rest_standin.add(1001)
    link = {"type": "text_link", "offset": 0, "length": 2, "url": "https://e.com/\ud83d"}
    outcome = await handle_telegram_update(bot, written("hi \ud83d there", entities=[link]))
    assert isinstance(outcome, IncomingMessage)
    assert outcome.text == "hi (https://e.com/?) \ufffd there"
    outcome.model_dump_json()


async def test_new_asks_the_assistant_to_forget(bot, rest_standin):
    rest_standin.add(1001)
    outcome = await handle_telegram_update(bot, written("/new"))
    assert isinstance(outcome, IncomingMessage)
    assert outcome.type is IncomingType.RESET


async def test_a_group_gets_one_deliberate_answer(bot, rest_standin):
    rest_standin.add(1001)
    group = {"id": -500, "type": "supergroup"}
    outcome = await decide(bot, written("/start", chat=group))
    assert (outcome.chat_id, outcome.text, outcome.to_stranger) == (-500, ENGLISH.group, True)
    assert await handle_telegram_update(bot, written("hello?", number=2, chat=group)) is None


async def test_an_edit_is_not_answered(bot, rest_standin):
    rest_standin.add(1001)
    message = written("hi").message
    assert await handle_telegram_update(bot, Update(update_id=2, edited_message=message)) is None


@pytest.mark.parametrize(("status", "active"), [("kicked", False), ("member", True)])
async def test_blocking_the_bot_is_noted(bot, rest_standin, status, active):
    rest_standin.add(1001, is_active=not active)
    change = {
        "chat": {"id": 1001, "type": "private"},
        "from": {"id": 1001},
        "new_chat_member": {"status": status},
    }
    update = Update.model_validate({"update_id": 1, "my_chat_member": change})
    assert await handle_telegram_update(bot, update) is None
    assert rest_standin.users[1]["is_active"] is active


def membership(status, *, chat_type="private", user=1001):
    change = {
        "chat": {"id": 1001, "type": chat_type},
        "from": {"id": user},
        "new_chat_member": {"status": status},
    }
    return Update.model_validate({"update_id": 1, "my_chat_member": change})


@pytest.mark.parametrize("chat_type", ["group", "supergroup", "channel"])
async def test_who_throws_the_bot_out_of_a_group_stays_reachable(bot, rest_standin, chat_type):
    rest_standin.add(1001)
    assert await handle_telegram_update(bot, membership("kicked", chat_type=chat_type)) is None
    await bot.changes.flush()
    assert rest_standin.users[1]["is_active"] is True


@pytest.mark.parametrize("away", ["down", "hanging"])
async def test_who_is_back_while_rest_service_is_away_is_noted(bot, rest_standin, monkeypatch, away):
    monkeypatch.setattr(user_changes, "UPDATE_TIMEOUT", 0.02)
    rest_standin.add(1001, is_active=False)
    if away == "down":
        rest_standin.down = True
    else:
        rest_standin.may_answer.clear()
    async with asyncio.timeout(5):
        assert await handle_telegram_update(bot, membership("member")) is None
    monkeypatch.undo()
    rest_standin.down = False
    rest_standin.may_answer.set()
    await bot.changes.flush()
    assert rest_standin.users[1]["is_active"] is True


async def test_who_writes_is_reachable_again_once_rest_service_is_back(bot, rest_standin):
    rest_standin.add(1001, is_active=False)
    await bot.rest.get_user(1001)
    rest_standin.down = True
    assert isinstance(await handle_telegram_update(bot, written("I am back")), IncomingMessage)
    rest_standin.down = False
    await bot.changes.flush()
    assert rest_standin.users[1]["is_active"] is True


async def test_who_writes_was_seen(bot, rest_standin):
    rest_standin.add(1001)
    rest_standin.add(2002, role="blocked")
    for number, user in enumerate((1001, 2002), start=1):
        await handle_telegram_update(bot, written("hi", number=number, user=user))
    await bot.changes.flush()
    assert rest_standin.users[1]["last_seen_at"] == "2026-11-22T12:00:00Z"
    assert rest_standin.users[2]["last_seen_at"] is None


async def test_while_rest_service_is_away_known_users_are_served_and_others_wait(bot, rest_standin):
    rest_standin.add(1001)
    await handle_telegram_update(bot, written("hi"))
    rest_standin.down = True
    assert isinstance(await handle_telegram_update(bot, written("still there?", number=2)), IncomingMessage)
    with pytest.raises(RestUnavailableError):
        await handle_telegram_update(bot, written("hi", number=3, user=2002))


async def test_who_wrote_once_is_known_when_rest_service_goes(rest, redis_client, rest_standin):
    bot = make_bot(rest, redis_client, open_access=True)
    first = await handle_telegram_update(bot, written("hi", number=1))
    rest_standin.down = True
    second = await handle_telegram_update(bot, written("still there?", number=2))
    assert isinstance(first, IncomingMessage)
    assert isinstance(second, IncomingMessage)
    assert first.user_id == second.user_id == (await rest.get_user_by_id(1)).id


async def test_a_user_is_known_by_both_numbers(rest, rest_standin):
    rest_standin.add(1001)
    rest_standin.add(2002)
    assert (await rest.get_user(1001)).id == 1
    assert (await rest.get_user_by_id(2)).telegram_id == 2002
    rest_standin.down = True
    assert (await rest.get_user_by_id(1)).telegram_id == 1001
    assert (await rest.get_user(2002)).id == 2


async def test_whom_another_instance_made_is_known_when_rest_service_goes(rest, rest_standin, redis_client):
    assert await rest.get_user(1001) is None
    rest_standin.add(1001)  # and the announcement is late
    assert (await rest.get_or_create_user(1001)).id == 1
    await announce(redis_client, Topic.USERS)
    rest_standin.down = True
    assert (await rest.get_user(1001)).id == 1


async def test_what_is_kept_of_a_change_masks_no_later_one(rest, rest_standin, redis_client):
    made = await rest.create_user(1001, first_name="Ada")
    changed = await rest.update_user(made, UserUpdate(first_name="Grace"))
    rest_standin.down = True
    assert (await rest.get_user(1001)).first_name == changed.first_name == "Grace"
    rest_standin.down = False
    rest_standin.users[1]["role"] = "blocked"
    await announce(redis_client, Topic.USERS)
    assert (await rest.get_user(1001)).role is UserRole.BLOCKED
    assert (await rest.get_user_by_id(1)).role is UserRole.BLOCKED


async def test_a_new_name_holds_no_message_up_while_rest_service_hangs(bot, rest_standin, monkeypatch):
    monkeypatch.setattr(user_changes, "UPDATE_TIMEOUT", 0.02)
    rest_standin.add(1001)
    await handle_telegram_update(bot, written("hi"))
    rest_standin.may_answer.clear()
    renamed = {"id": 1001, "first_name": "Grace", "username": "grace"}
    async with asyncio.timeout(5):
        outcome = await handle_telegram_update(bot, written("hi", number=2, **{"from": renamed}))
    assert isinstance(outcome, IncomingMessage)
