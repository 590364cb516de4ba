"""The client against a stand-in over HTTP: results, the table of errors, and no token anywhere."""

import logging
import traceback

import pytest

from tg_bot.src.client import errors
from tg_bot.src.client.errors import Failure, Parameters, error_for
from tg_bot.src.client.models import ALLOWED_UPDATES, Command, Entity
from tg_bot.src.client.telegram import TelegramClient
from tg_bot.tests.standin import TOKEN, TelegramStandIn, client_of, refusal


@pytest.mark.parametrize(
    ("code", "description", "parameters", "expected"),
    [
        (401, "Unauthorized", {}, errors.UnauthorizedError),
        (404, "Not Found", {}, errors.UnauthorizedError),
        (403, "Forbidden: bot was blocked by the user", {}, errors.UnreachableError),
        (403, "Forbidden: user is deactivated", {}, errors.UnreachableError),
        (409, "Conflict: terminated by other getUpdates request", {}, errors.PollConflictError),
        (429, "Too Many Requests: retry after 7", {"retry_after": 7}, errors.RetryAfterError),
        (429, "Too Many Requests", {}, errors.RetryAfterError),
        (400, "Bad Request: can't parse entities", {}, errors.BadRequestError),
        (400, "Bad Request: chat not found", {}, errors.ChatNotFoundError),
        (400, "Bad Request: group upgraded", {"migrate_to_chat_id": -100}, errors.ChatMigratedError),
        (500, "Internal Server Error", {}, errors.ServerError),
        (502, "Bad Gateway", {}, errors.ServerError),
        (418, "I'm a teapot", {}, errors.BadRequestError),
    ],
)
def test_each_failure_has_its_type(code, description, parameters, expected):
    failure = Failure(error_code=code, description=description, parameters=Parameters(**parameters))
    error = error_for("sendMessage", failure)
    assert type(error) is expected
    assert description in str(error)


def test_a_wait_and_a_new_chat_are_carried():
    wait = error_for("m", Failure(error_code=429, parameters=Parameters(retry_after=7)))
    moved = error_for("m", Failure(error_code=400, parameters=Parameters(migrate_to_chat_id=-5)))
    assert isinstance(wait, errors.RetryAfterError)
    assert wait.retry_after == 7
    assert isinstance(moved, errors.ChatMigratedError)
    assert moved.new_chat_id == -5


async def test_updates_are_confirmed_by_the_next_offset(telegram: TelegramStandIn, client: TelegramClient):
    first, second = await telegram.write("one"), await telegram.write("two")
    assert [one["update_id"] for one in await client.get_updates(None, 0)] == [first, second]
    assert [one["update_id"] for one in await client.get_updates(second, 0)] == [second]
    assert await client.get_updates(second + 1, 0) == []
    assert all(body["allowed_updates"] == ALLOWED_UPDATES for _, body in telegram.calls)


async def test_what_is_sent_arrives(telegram: TelegramStandIn, client: TelegramClient):
    entity = Entity(type="bold", offset=0, length=2)
    assert await client.send_message(5, "привет 😀", [entity]) == 1
    assert telegram.sent == [{"chat_id": 5, "text": "привет 😀", "entities": [entity]}]
    await client.set_my_commands([Command(command="new", description="New")], "ru")
    assert telegram.calls[-1][1] == {
        "commands": [{"command": "new", "description": "New"}],
        "language_code": "ru",
    }
    assert (await client.get_me()).username == "test_bot"


async def test_a_closed_connection_is_uncertain(telegram: TelegramStandIn, client: TelegramClient):
    telegram.refuse("sendMessage", "drop")
    with pytest.raises(errors.UncertainError):
        await client.send_message(5, "hello")


async def test_no_connection_is_certainly_not_sent(unused_tcp_port: int):
    standin = TelegramStandIn()
    standin.url = f"http://127.0.0.1:{unused_tcp_port}"
    async with client_of(standin) as client:
        with pytest.raises(errors.NotSentError):
            await client.send_message(5, "hello")


@pytest.mark.parametrize(
    "answer", [(502, {}), (200, {"ok": True}), (200, {"ok": False, "error_code": "what"})]
)
async def test_what_is_no_bot_api_answer_is_a_server_error(telegram, client, answer):
    telegram.refuse("getMe", answer)
    with pytest.raises(errors.ServerError):
        await client.get_me()


async def test_the_token_is_in_no_error_and_no_log(
    telegram: TelegramStandIn, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    wrong = "777000:another-token-that-must-not-leak"
    nobody = TelegramStandIn()
    nobody.url = f"http://127.0.0.1:{unused_tcp_port}"
    told = []
    telegram.refuse("getMe", "drop", refusal(500, "oops"))
    for standin, token in ((telegram, TOKEN), (telegram, TOKEN), (telegram, wrong), (nobody, TOKEN)):
        async with client_of(standin, token) as client:
            with pytest.raises(errors.TelegramError) as caught:
                await client.get_me()
            told.append("".join(traceback.format_exception(caught.value)) + repr(client))
    assert isinstance(caught.value, errors.NotSentError)
    assert "must-not-leak" not in "".join(told)
    assert "must-not-leak" not in caplog.text
