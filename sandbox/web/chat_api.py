"""`/chat`: what the chat page and the terminal chat use. JSON over HTTP with long polling."""

import asyncio
from contextlib import suppress
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ..bodies import read
from ..guard import Guard, Handler, problem
from ..telegram.chat import Chat, ChatMessage
from ..telegram.formatting import utf16_length
from ..telegram.messenger import DEFAULT_PERSON, MAX_TEXT_OF_PERSON, Messenger

MAX_WAIT = 60.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class NewPerson(_Body):
    """Who talks."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)] = (
        DEFAULT_PERSON
    )


class NewMessage(_Body):
    """What is said, and the language of the app in which it was written."""

    text: str = Field(min_length=1)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)


class Press(_Body):
    """A button that is pressed."""

    number: int
    data: str = Field(max_length=64)


class ChatApi:
    """People, what they say, and what the bot answers."""

    def __init__(self, messenger: Messenger, guard: Guard) -> None:
        self._messenger = messenger
        self._guard = guard

    def add_routes(self, app: web.Application) -> None:
        """All behind the guard."""
        routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/chat/bot", self._bot),
            ("GET", "/chat/people", self._people),
            ("POST", "/chat/people", self._new_person),
            ("GET", r"/chat/people/{id:\d{1,16}}/messages", self._messages),
            ("POST", r"/chat/people/{id:\d{1,16}}/messages", self._say),
            ("POST", r"/chat/people/{id:\d{1,16}}/presses", self._press),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, self._guard(handler))

    async def _bot(self, _request: web.Request) -> web.Response:
        return web.json_response({"name": self._messenger.bot_name, "commands": self._messenger.commands})

    async def _people(self, _request: web.Request) -> web.Response:
        return web.json_response({"people": [_person(chat) for chat in self._messenger.chats]})

    async def _new_person(self, request: web.Request) -> web.Response:
        body = await read(request, NewPerson)
        return web.json_response(_person(self._messenger.person(body.name)))

    async def _say(self, request: web.Request) -> web.Response:
        chat = self._chat(request)
        body = await read(request, NewMessage)
        if not body.text.strip():
            return problem(422, "empty", "A message needs a text.")
        if utf16_length(body.text) > MAX_TEXT_OF_PERSON:
            return problem(422, "too_long", f"A message has at most {MAX_TEXT_OF_PERSON} characters.")
        chat.language = body.language or chat.language
        message, update_id = self._messenger.say(chat, body.text)
        return web.json_response({"number": message.number, "update_id": update_id})

    async def _press(self, request: web.Request) -> web.Response:
        chat = self._chat(request)
        body = await read(request, Press)
        message = chat.find(body.number)
        if message is None:
            return problem(404, "not_found", "There is no such message.")
        return web.json_response({"update_id": self._messenger.press(chat, message, body.data)})

    async def _messages(self, request: web.Request) -> web.Response:
        """Waits until something is newer than asked.

        `after` asks for messages by number; `since` asks by revision and so brings edited ones again.
        `typing=0|1` tells what the asker shows now, so that no change between two calls is missed.
        """
        chat = self._chat(request)
        after, since = _integer(request, "after"), _integer(request, "since")
        if since is not None and since > chat.revision:
            since = 0  # of a life before a reset
        shown = request.query.get("typing")
        was_typing = chat.typing_left > 0 if shown is None else shown == "1"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(float(_integer(request, "wait") or 0), MAX_WAIT)
        while True:
            newer = _find_newer(chat, after, since)
            typing_left = chat.typing_left
            left = deadline - loop.time()
            if newer or (typing_left > 0) != was_typing or left <= 0:
                return web.json_response(
                    {
                        "messages": [message.as_json() for message in newer],
                        "typing": typing_left > 0,
                        "revision": chat.revision,
                    }
                )
            await chat.changed.wait(min(left, typing_left) if typing_left > 0 else left)
            chat = self._chat(request)  # a reset may have removed it meanwhile

    def _chat(self, request: web.Request) -> Chat:
        chat = self._messenger.chat(int(request.match_info["id"]))
        if chat is None:
            raise web.HTTPNotFound(
                text='{"code": "not_found", "message": "There is no such person."}',
                content_type="application/json",
            )
        return chat


def _person(chat: Chat) -> dict[str, object]:
    return {"id": chat.id, "name": chat.name}


def _find_newer(chat: Chat, after: int | None, since: int | None) -> list[ChatMessage]:
    if since is not None:
        return [message for message in chat.messages if message.revision > since]
    if chat.last_number <= (after or 0):
        return []
    return [message for message in chat.messages if message.number > (after or 0)]


def _integer(request: web.Request, name: str) -> int | None:
    with suppress(KeyError, ValueError, OverflowError):
        return int(float(request.query[name]))
    return None
