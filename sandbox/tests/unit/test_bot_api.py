"""The Bot API as a bot sees it."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.telegram.errors import BadRequestError
from sandbox.telegram.formatting import format_text, parse_html, utf16_length

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


async def test_get_me_and_tokens(outside: Any):
    me = (await outside.bot("getMe", token="123:x_Y-z"))["result"]
    assert (me["id"], me["is_bot"]) == (123, True)
    assert await outside.bot("getMe", token="nonsense") == {
        "ok": False,
        "error_code": 404,
        "description": "Not Found",
    }
    assert (await outside.bot("danceNow"))["error_code"] == 404
    assert (await outside.bot("GETME"))["ok"]


@pytest.mark.parametrize("how", ["query", "form", "multipart", "json"])
async def test_parameters_in_every_form(outside: Any, how: str):
    person = await outside.person()
    entities = [{"type": "bold", "offset": 0, "length": 2}]
    values = {"chat_id": str(person), "text": "hi 👋", "entities": json.dumps(entities)}
    url = f"{outside.url}/telegram/bot7:abc/sendMessage"
    match how:
        case "query":
            call = outside.session.get(url, params=values)
        case "form":
            call = outside.session.post(url, data=values)
        case "multipart":
            form = aiohttp.FormData(values, default_to_multipart=True)
            call = outside.session.post(url, data=form)
        case _:
            call = outside.session.post(url, json={"chat_id": person, "text": "hi 👋", "entities": entities})
    async with call as response:
        sent = (await response.json())["result"]
    assert (sent["text"], sent["entities"], sent["chat"]["id"]) == ("hi 👋", entities, person)
    assert sent["from"]["id"] == 7


async def test_updates_stay_until_they_are_confirmed(outside: Any):
    person = await outside.person()
    for text in ("one", "two", "three"):
        await outside.say(person, text)
    first = await outside.updates()
    assert [update["message"]["text"] for update in first] == ["one", "two", "three"]
    assert [update["update_id"] for update in first] == sorted({update["update_id"] for update in first})
    assert await outside.updates() == first
    assert await outside.updates(limit=1) == first[:1]
    assert await outside.updates(offset=first[1]["update_id"]) == first[1:]
    assert await outside.updates(offset=0) == first[1:]
    assert await outside.updates(offset=first[-1]["update_id"] + 1) == []
    assert await outside.updates() == []


async def test_a_negative_offset_keeps_only_the_last(outside: Any):
    person = await outside.person()
    for text in ("one", "two", "three"):
        await outside.say(person, text)
    assert [update["message"]["text"] for update in await outside.updates(offset=-2)] == ["two", "three"]
    assert len(await outside.updates()) == 2


async def test_long_polling_answers_when_something_arrives(outside: Any):
    person = await outside.person()
    poll = asyncio.create_task(outside.updates(timeout=20))
    await until_polled(outside, 1)
    await outside.say(person, "/start abc")
    [update] = await asyncio.wait_for(poll, 5)
    message = update["message"]
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert message["chat"] == {"id": person, "first_name": "Ada", "type": "private"}
    assert message["from"]["language_code"] == "en"


async def test_a_second_poll_ends_the_first(outside: Any):
    await outside.person()
    first = asyncio.create_task(outside.bot("getUpdates", timeout=20))
    await until_polled(outside, 1)
    second = asyncio.create_task(outside.bot("getUpdates", timeout=1))
    ended = await asyncio.wait_for(first, 5)
    assert (ended["error_code"], ended["description"]) == (409, CONFLICT)
    assert (await second)["result"] == []


async def test_another_bot_is_not_disturbed(outside: Any):
    first = asyncio.create_task(outside.bot("getUpdates", token="1:a", timeout=1))
    await until_polled(outside, 1)
    assert (await outside.bot("getUpdates", token="2:b"))["ok"]
    assert (await first)["ok"]


async def test_no_polling_while_a_webhook_is_set(outside: Any):
    assert (await outside.bot("setWebhook", url="http://example.org"))["error_code"] == 400
    assert (await outside.bot("setWebhook", url="https://example.org/hook"))["ok"]
    refused = await outside.bot("getUpdates")
    assert refused["error_code"] == 409
    assert "webhook is active" in refused["description"]
    assert (await outside.bot("deleteWebhook"))["ok"]
    assert (await outside.bot("getUpdates"))["ok"]


async def test_allowed_updates_are_remembered(outside: Any):
    person = await outside.person()
    await outside.updates(allowed_updates=["callback_query"])
    await outside.say(person, "nobody hears this")
    assert await outside.updates() == []
    await outside.updates(allowed_updates=[])
    await outside.say(person, "hello")
    assert len(await outside.updates()) == 1


async def test_what_was_written_before_the_bot_came_is_not_lost(outside: Any):
    person = await outside.person()
    await outside.say(person, "anybody there?")
    assert [update["message"]["text"] for update in await outside.updates()] == ["anybody there?"]


@pytest.mark.parametrize(
    ("parameters", "description"),
    [
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": 5, "text": "x"}, "chat not found"),
        ({"chat_id": "@nobody", "text": "x"}, "chat not found"),
        ({"chat_id": 1001}, "message text is empty"),
        ({"chat_id": 1001, "text": ""}, "message text is empty"),
        ({"chat_id": 1001, "text": " \n "}, "text must be non-empty"),
        ({"chat_id": 1001, "text": "x" * 4097}, "message is too long"),
        ({"chat_id": 1001, "text": "👋" * 2049}, "message is too long"),
        ({"chat_id": 1001, "text": "\ud83d alone"}, "strings must be encoded in UTF-8"),
        ({"chat_id": 1001, "text": "*x*", "parse_mode": "MarkdownV2"}, "unsupported parse_mode MarkdownV2"),
        ({"chat_id": 1001, "text": "<b>x", "parse_mode": "HTML"}, "can't parse entities: Can't find end tag"),
        (
            {"chat_id": 1001, "text": "<b><i>x</b></i>", "parse_mode": "HTML"},
            "can't parse entities: Unmatched end tag",
        ),
        (
            {"chat_id": 1001, "text": "a < b", "parse_mode": "HTML"},
            "can't parse entities: Unsupported start tag",
        ),
        ({"chat_id": 1001, "text": "x", "entities": "[{"}, "can't parse entities JSON object"),
        ({"chat_id": 1001, "text": "x", "entities": {}}, "can't parse entities: expected an Array"),
        ({"chat_id": 1001, "text": "x", "reply_markup": "[]"}, "object expected as reply markup"),
    ],
)
async def test_refused_messages(outside: Any, parameters: dict[str, Any], description: str):
    await outside.person()
    refused = await outside.bot("sendMessage", **parameters)
    assert (refused["ok"], refused["error_code"]) == (False, 400)
    assert refused["description"].startswith(f"Bad Request: {description}")


@pytest.mark.parametrize(
    ("entity", "description"),
    [
        (
            {"type": "bold", "offset": 0, "length": 100},
            "entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 100",
        ),
        (
            {"type": "bold", "offset": 9, "length": 1},
            "entity begins after the end of the text at UTF-16 offset 9",
        ),
        ({"type": "bold", "offset": -1, "length": 1}, "receive an entity with incorrect offset -1"),
        ({"type": "bold", "offset": 0, "length": -1}, "receive an entity with incorrect length -1"),
        (
            {"type": "bold", "offset": 0, "length": 7},
            "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 7",
        ),
        (
            {"type": "bold", "offset": 7, "length": 1},
            "entity begins in a middle of a UTF-16 symbol at byte offset 7",
        ),
        (
            {"type": "sparkle", "offset": 0, "length": 1},
            "can't parse MessageEntity: Unsupported type specified",
        ),
        (
            {"type": "text_link", "offset": 0, "length": 1},
            "can't parse MessageEntity: Can't find field \"url\"",
        ),
        (
            {"type": "bold", "offset": "0", "length": 1},
            'can\'t parse MessageEntity: Field "offset" must be of type Number',
        ),
    ],
)
async def test_refused_entities(outside: Any, entity: dict[str, Any], description: str):
    person = await outside.person()
    refused = await outside.bot("sendMessage", chat_id=person, text="hello 👋", entities=[entity])
    assert refused["description"] == f"Bad Request: {description}"


async def test_telegram_finds_commands_and_addresses_itself(outside: Any):
    person = await outside.person()
    code = {"type": "code", "offset": 0, "length": 5}
    text = "/code then 👋 /help, see https://example.org/a."
    sent = await outside.bot("sendMessage", chat_id=person, text=text, entities=[code])
    assert sent["result"]["entities"] == [
        code,
        {"type": "bot_command", "offset": 14, "length": 5},
        {"type": "url", "offset": 25, "length": 21},
    ]


async def test_html_becomes_entities(outside: Any):
    person = await outside.person()
    html = (
        'a <b>b&lt;<i>👋</i></b> <a href="https://e.org/?a=1&amp;b=2">l</a> '
        "<blockquote expandable>q</blockquote>"
    )
    sent = (await outside.bot("sendMessage", chat_id=person, text=html, parse_mode="HTML"))["result"]
    assert sent["text"] == "a b<👋 l q"
    assert sent["entities"] == [
        {"type": "bold", "offset": 2, "length": 4},
        {"type": "italic", "offset": 4, "length": 2},
        {"type": "text_link", "offset": 7, "length": 1, "url": "https://e.org/?a=1&b=2"},
        {"type": "expandable_blockquote", "offset": 9, "length": 1},
    ]


async def test_editing(outside: Any):
    person = await outside.person()
    sent = (await outside.bot("sendMessage", chat_id=person, text="draft"))["result"]
    known = await outside.messages(person, "since=0")
    edit = {"chat_id": person, "message_id": sent["message_id"]}
    assert (await outside.bot("editMessageText", **edit, text="done"))["result"]["text"] == "done"
    assert (
        "message is not modified"
        in (await outside.bot("editMessageText", **edit, text="done"))["description"]
    )
    news = await outside.messages(person, f"since={known['revision']}")
    assert [(message["number"], message["text"]) for message in news["messages"]] == [(1, "done")]
    edit["message_id"] = 99
    assert (await outside.bot("editMessageText", **edit, text="x"))[
        "description"
    ] == "Bad Request: message to edit not found"


async def test_commands(outside: Any):
    commands = [{"command": "help", "description": "What I can do"}]
    assert (await outside.bot("setMyCommands", commands=commands, language_code="en"))["result"] is True
    assert (await outside.bot("getMyCommands", language_code="en"))["result"] == commands
    assert (await outside.bot("getMyCommands"))["result"] == []
    assert (await outside.get("/chat/bot"))["commands"] == {"en": commands}
    broken = [{"command": "Not A Command", "description": "x"}]
    assert "BOT_COMMAND_INVALID" in (await outside.bot("setMyCommands", commands=broken))["description"]


async def test_buttons_are_pressed(outside: Any):
    person = await outside.person()
    await outside.updates()
    markup = {"inline_keyboard": [[{"text": "Done", "callback_data": "done:1"}]]}
    sent = (await outside.bot("sendMessage", chat_id=person, text="Tea", reply_markup=markup))["result"]
    await outside.post(f"/chat/people/{person}/presses", {"number": sent["message_id"], "data": "done:1"})
    [update] = await outside.updates()
    query = update["callback_query"]
    assert (query["data"], query["message"]["message_id"], query["from"]["id"]) == ("done:1", 1, person)
    assert (await outside.bot("answerCallbackQuery", callback_query_id=query["id"]))["result"] is True


async def until_polled(outside: Any, calls: int) -> None:
    """A poll that runs in a task of this test has reached the sandbox."""
    async with asyncio.timeout(5):
        seen = 0
        while seen < calls:
            seen = (await outside.get("/control/stats"))["calls"].get("telegram.getUpdates", 0)


@given(st.text(max_size=50))
def test_lengths_are_counted_in_utf16_units(text: str):
    assert utf16_length(text) == sum(2 if ord(letter) > 0xFFFF else 1 for letter in text)


@given(
    st.text(max_size=60),
    st.lists(
        st.tuples(st.sampled_from(["bold", "pre"]), st.integers(-1, 70), st.integers(-1, 70)), max_size=4
    ),
)
def test_accepted_entities_lie_inside_the_text(text: str, places: list[tuple[str, int, int]]):
    entities = [{"type": kind, "offset": offset, "length": length} for kind, offset, length in places]
    try:
        shown, accepted = format_text(text, entities, None)
    except BadRequestError:
        return
    total = utf16_length(shown)
    assert all(0 <= one["offset"] < one["offset"] + one["length"] <= total for one in accepted)


@given(st.text(alphabet="<>/bi a&;=\"'", max_size=60))
def test_html_is_read_or_refused(source: str):
    try:
        text, entities = parse_html(source)
    except BadRequestError:
        return
    assert all(one["offset"] + one["length"] <= utf16_length(text) for one in entities)
