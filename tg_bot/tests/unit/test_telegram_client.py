"""The client against a stand-in over HTTP: results, the table of errors, and no token anywhere."""

import asyncio
import gzip
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from tg_bot.src.client import errors
from tg_bot.src.client import telegram as telegram_module
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
        (504, "Gateway Timeout", {}, errors.ServerError),
        (408, "Request Timeout", {}, errors.NotSentError),
        (418, "I'm a teapot", {}, errors.BadRequestError),
    ],
)
def test_each_failure_has_its_type(code, description, parameters, expected):
    failure = Failure(error_code=code, description=description, parameters=Parameters(**parameters))
    error = error_for("sendMessage", failure)
    assert type(error) is expected
    assert description in str(error)


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 520, 599, 302])
def test_a_gateways_word_does_not_say_whether_it_was_carried_out(code):
    assert isinstance(error_for("sendMessage", Failure(error_code=code)), errors.UncertainError)


def test_a_wait_and_a_new_chat_are_carried():
    wait = error_for("m", Failure(error_code=429, parameters=Parameters(retry_after=7)))
    moved = error_for("m", Failure(error_code=400, parameters=Parameters(migrate_to_chat_id=-5)))
    assert isinstance(wait, errors.RetryAfterError)
    assert wait.retry_after == 7
    assert isinstance(moved, errors.ChatMigratedError)
    assert moved.new_chat_id == -5


@pytest.mark.parametrize(
    ("told", "wait"), [(0, 5), (-3, 5), (float("nan"), 5), (float("inf"), 86_400), (1e12, 86_400), (None, 5)]
)
def test_a_wait_has_its_bounds(told, wait):
    error = error_for("m", Failure(error_code=429, parameters=Parameters(retry_after=told)))
    assert isinstance(error, errors.RetryAfterError)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("status", "odd", "expected"),
    [
        (403, {"description": None, "parameters": None}, errors.UnreachableError),
        (
            400,
            {"parameters": {"migrate_to_chat_id": None, "a_field_of_next_year": 1}},
            errors.BadRequestError,
        ),
        (403, {"parameters": []}, errors.NotSentError),
        (429, {"parameters": "soon"}, errors.RetryAfterError),
        (500, {"parameters": []}, errors.ServerError),
    ],
)
async def test_a_refusal_of_an_odd_shape_is_one_all_the_same(telegram, client, status, odd, expected):
    telegram.refuse("sendMessage", (status, {"ok": False, "error_code": status, "description": "no"} | odd))
    with pytest.raises(errors.TelegramError) as caught:
        await client.send_message(5, "hello")
    assert type(caught.value) is expected


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
    assert telegram.calls[-1][1]["link_preview_options"] == {"is_disabled": True}
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


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, errors.ServerError),
        (502, errors.ServerError),
        (504, errors.ServerError),
        (403, errors.NotSentError),
        (404, errors.NotSentError),
        (407, errors.NotSentError),
        (429, errors.RetryAfterError),
    ],
)
async def test_a_proxy_may_answer_in_telegrams_place(telegram, client, status, expected):
    telegram.refuse("sendMessage", (status, {"error": "from somebody else"}))
    with pytest.raises(errors.TelegramTransientError) as caught:
        await client.send_message(5, "hello")
    assert type(caught.value) is expected


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[TelegramStandIn]:
    """A server that answers each connection with what `answer` writes, whatever it was asked."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    standin = TelegramStandIn()
    standin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield standin
    finally:
        server.close()


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_a_server_that_drips_its_answer_is_given_up():
    async with raw_server(drip) as standin, client_of(standin) as client, asyncio.timeout(10):
        with pytest.raises(errors.UncertainError):
            await client._make_request("sendMessage", call_timeout=0.2)


async def test_waiting_for_a_free_connection_has_its_limit(monkeypatch):
    monkeypatch.setattr(telegram_module, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(telegram_module, "POOL_SIZE", 1)
    began = asyncio.Event()

    async def hang(_writer: asyncio.StreamWriter) -> None:
        began.set()
        await asyncio.sleep(10)

    async with raw_server(hang) as standin, client_of(standin) as client, asyncio.timeout(10):
        first = asyncio.ensure_future(client.get_me())
        await began.wait()
        with pytest.raises(errors.NotSentError):
            await client.send_message(5, "hello")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_looking_up_the_name_has_its_limit(monkeypatch):
    monkeypatch.setattr(telegram_module, "CONNECT_TIMEOUT", 0.05)

    async def hang(*_args: object, **_options: object) -> None:
        await asyncio.sleep(10)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    async with TelegramClient(SecretStr(TOKEN), "http://telegram.invalid") as client, asyncio.timeout(10):
        with pytest.raises(errors.NotSentError):
            await client.send_message(5, "hello")


async def test_an_answer_larger_than_telegrams_is_not_read(monkeypatch):
    monkeypatch.setattr(telegram_module, "LARGEST_ANSWER", 100_000)
    written = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b" " * 10_000)
            await writer.drain()
            written += 10_000

    async with raw_server(flood) as standin, client_of(standin) as client, asyncio.timeout(30):
        with pytest.raises(errors.ServerError, match="more than"):
            await client.get_me()
    assert written < 100_000_000


async def test_a_compressed_answer_is_not_unpacked():
    body = gzip.compress(b'{"ok": true, "result": {"id": 5}}' + b" " * 50_000_000)

    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with raw_server(answer) as standin, client_of(standin) as client:
        with pytest.raises(errors.ServerError, match="no answer of the Bot API"):
            await client.get_me()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(telegram, status):
    async def redirect(writer: asyncio.StreamWriter) -> None:
        where = f"{telegram.url}/bot{TOKEN}/getMe"
        writer.write(f"HTTP/1.1 {status} Moved\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with raw_server(redirect) as standin, client_of(standin) as client:
        with pytest.raises(errors.ServerError):
            await client.get_me()
    assert telegram.calls == []


@pytest.mark.parametrize("body", ["[" * 100_000, "null", "[]", "5", '{"ok": true', "<html>", "", '{"id": 5}'])
async def test_odd_bodies_are_a_server_error(body):
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()

    async with raw_server(answer) as standin, client_of(standin) as client:
        with pytest.raises(errors.ServerError):
            await client.get_me()


@pytest.mark.parametrize("result", [None, True, [], {}, {"message_id": "x"}, {"message_id": None}])
async def test_what_was_accepted_counts_as_sent_whatever_is_said_of_it(telegram, client, result):
    telegram.refuse("sendMessage", (200, {"ok": True, "result": result}))
    assert await client.send_message(5, "hello") == 0


@pytest.mark.parametrize("result", [{}, None, "updates"])
async def test_updates_that_are_no_list_are_a_server_error(telegram, client, result):
    telegram.refuse("getUpdates", (200, {"ok": True, "result": result}))
    with pytest.raises(errors.ServerError, match="not a list"):
        await client.get_updates(None, 0)


async def test_what_is_no_update_hides_no_other(telegram, client):
    telegram.refuse("getUpdates", (200, {"ok": True, "result": [None, {"update_id": 7}, "x"]}))
    assert await client.get_updates(None, 0) == [{}, {"update_id": 7}, {}]


async def test_the_client_is_used_inside_its_context_only(telegram):
    with pytest.raises(RuntimeError, match="outside"):
        await client_of(telegram).get_me()


async def test_no_connection_is_certainly_not_sent(unused_tcp_port: int):
    standin = TelegramStandIn()
    standin.url = f"http://127.0.0.1:{unused_tcp_port}"
    async with client_of(standin) as client:
        with pytest.raises(errors.NotSentError):
            await client.send_message(5, "hello")


@pytest.mark.parametrize(
    "answer", [(502, {}), (302, {}), (200, {"ok": True}), (200, {"ok": False, "error_code": "what"})]
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
