"""Small stand-ins for Telegram and rest_service over real HTTP, for the tests of tg_bot."""

import asyncio
import itertools
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from pydantic import SecretStr, TypeAdapter, ValidationError

from service_kit.contracts.bots import BotPut
from service_kit.contracts.users import TelegramId, UserCreate, UserUpdate
from service_kit.settings import RestClientSettings
from tg_bot.src.client.telegram import TelegramClient
from tg_bot.src.utils.split import utf16_length

TOKEN = "777000:test-token-that-must-not-leak"
BOT_ID = 777000
STAMP = "2026-11-22T12:00:00Z"
NOW = int(datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp())

Refusal = tuple[int, dict[str, Any]] | str
"""Status and body of an answer, or "drop": take the request and close the connection."""


def refusal(code: int, description: str, **parameters: int) -> Refusal:
    return code, {"ok": False, "error_code": code, "description": description, "parameters": parameters}


class TelegramStandIn:
    """The Bot API with Telegram's offset semantics: an update stays until a higher offset confirms it."""

    def __init__(self) -> None:
        self.updates: deque[dict[str, Any]] = deque()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.sent: list[dict[str, Any]] = []
        self.refusals: dict[str, deque[Refusal]] = {}
        self.webhook = False
        self.closed = False
        self.url = ""
        self.changed = asyncio.Condition()
        self._numbers = itertools.count(1)

    def refuse(self, method: str, *refusals: Refusal) -> None:
        self.refusals.setdefault(method, deque()).extend(refusals)

    async def write(self, text: str | None, *, user: int = 1001, **fields: Any) -> int:
        """A person writes; returns the update's id."""
        number = next(self._numbers)
        person = {"id": user, "is_bot": False, "first_name": "Ada", "username": "ada", "language_code": "en"}
        message = {
            "message_id": number,
            "date": NOW,
            "chat": {"id": user, "type": "private"},
            "from": person | fields.pop("sender", {}),
        }
        if text is not None:
            message["text"] = text
        await self.push({"update_id": 5000 + number, "message": message | fields})
        return 5000 + number

    async def push(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        await self._notify()

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    async def close(self) -> None:
        """End the long polls."""
        self.closed = True
        await self._notify()

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _answer(self, request: web.Request) -> web.Response:
        method, body = request.match_info["method"], await request.json()
        self.calls.append((method, body))
        await self._notify()
        if request.match_info["token"] != TOKEN:
            return self._refused(refusal(401, "Unauthorized"))
        if queue := self.refusals.get(method):
            answer = queue.popleft()
            if answer == "drop":
                assert request.transport
                request.transport.abort()
            return self._refused(answer)
        snake_case = re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", method)
        result = await getattr(self, snake_case)(body)
        await self._notify()
        return result if isinstance(result, web.Response) else self._json({"ok": True, "result": result})

    def _refused(self, answer: Refusal) -> web.Response:
        status, body = (500, {}) if isinstance(answer, str) else answer
        return self._json(body, status=status)

    @staticmethod
    def _json(body: dict[str, Any], status: int = 200) -> web.Response:
        return web.Response(text=json.dumps(body), status=status, content_type="application/json")

    async def get_me(self, _body: dict[str, Any]) -> Any:
        return {"id": BOT_ID, "is_bot": True, "first_name": "Bot", "username": "test_bot"}

    async def get_updates(self, body: dict[str, Any]) -> Any:
        if self.webhook:
            return self._refused(
                refusal(409, "Conflict: can't use getUpdates method while webhook is active")
            )
        offset = body.get("offset", 0)
        while self.updates and self.updates[0].get("update_id", 0) < offset:
            self.updates.popleft()
        await self._notify()
        with suppress(TimeoutError):
            await self.until(lambda: bool(self.updates) or self.closed, body["timeout"])
        return list(itertools.islice(self.updates, body.get("limit", 100)))

    async def delete_webhook(self, body: dict[str, Any]) -> Any:
        assert body["drop_pending_updates"] is False
        self.webhook = False
        return True

    async def send_message(self, body: dict[str, Any]) -> Any:
        length = utf16_length(body["text"])
        if not 1 <= length <= 4096 or not body["text"].strip():
            return self._refused(refusal(400, "Bad Request: message is too long or empty"))
        for entity in body.get("entities", ()):
            assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= length
        self.sent.append({name: value for name, value in body.items() if name != "link_preview_options"})
        return {"message_id": len(self.sent), "date": NOW, "chat": {"id": body["chat_id"]}}

    async def send_chat_action(self, _body: dict[str, Any]) -> Any:
        return True

    async def set_my_commands(self, _body: dict[str, Any]) -> Any:
        return True


class RestStandIn:
    """The users of rest_service, of one bot; passes the same `tests/contract/test_bot_users.py`."""

    def __init__(self) -> None:
        self.users: dict[int, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.bot: dict[str, Any] | None = None
        """Who was said to play."""
        self.knows_bots = True
        self.down = False
        self.broken: set[int] = set()
        """Users that it answers 500 for."""
        self.may_answer = asyncio.Event()
        """Cleared, it takes requests and hangs."""
        self.may_answer.set()
        self.url = ""
        self.on_change: Callable[[], Awaitable[object]] | None = None

    def add(self, telegram_id: int, **fields: Any) -> dict[str, Any]:
        """A member who has written before."""
        known = {"username": "ada", "first_name": "Ada", "language": "en"}
        return self._add(telegram_id=telegram_id, **(known | fields))

    def _add(self, **fields: Any) -> dict[str, Any]:
        number = len(self.users) + 1
        self.users[number] = {
            "id": number,
            "username": None,
            "first_name": None,
            "language": None,
            "timezone": None,
            "role": "member",
            "is_active": True,
            "last_seen_at": None,
            "created_at": STAMP,
            "updated_at": STAMP,
        } | fields
        return self.users[number]

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(f"{request.method} {request.path}")
        await self.may_answer.wait()
        parts = request.path.removeprefix("/api/users").strip("/").split("/")
        broken = parts[-1].isdigit() and int(parts[-1]) in self.broken
        if self.down or broken:
            return web.json_response({}, status=500 if broken else 503)
        try:
            return web.json_response(await self._handle(request, parts))
        except ValidationError as exc:
            return self._error(422, str(exc.errors()[0]["loc"]))
        except LookupError:
            return self._error(404, "no such user, or path")
        except ValueError as exc:
            return self._error(409, str(exc))

    async def _handle(self, request: web.Request, parts: list[str]) -> dict[str, Any]:
        body = await request.json() if request.can_read_body else {}
        match request.method, parts:
            case "PUT", ["api", "bot"] if self.knows_bots:
                self.bot = BotPut.model_validate(body).model_dump()
                return self.bot | {"created_at": STAMP, "updated_at": STAMP}
            case "GET", ["by-telegram-id", text]:
                return self._by_telegram_id(TypeAdapter(TelegramId).validate_python(text))
            case "GET", [text]:
                return self.users[int(text)]
            case "POST", [""]:
                new = UserCreate.model_validate(body).model_dump(mode="json")
                if any(one["telegram_id"] == new["telegram_id"] for one in self.users.values()):
                    raise ValueError("telegram_id is taken")
                self._check_owner(new, 0)
                return await self._changed(self._add(**new))
            case "PATCH", [text]:
                user, change = self.users[int(text)], UserUpdate.model_validate(body)
                new = change.model_dump(mode="json", exclude_unset=True)
                self._check_owner(new, user["id"])
                user |= new
                return await self._changed(user, announced=new.keys() != {"last_seen_at"})
        raise LookupError

    def _by_telegram_id(self, telegram_id: int) -> dict[str, Any]:
        found = [one for one in self.users.values() if one["telegram_id"] == telegram_id]
        return found[0]

    def _check_owner(self, new: dict[str, Any], number: int) -> None:
        owners = {one["id"] for one in self.users.values() if one["role"] == "owner"}
        if new.get("role") == "owner" and owners - {number}:
            raise ValueError("there is an owner")

    async def _changed(self, user: dict[str, Any], *, announced: bool = True) -> dict[str, Any]:
        if self.on_change and announced:
            await self.on_change()
        return user

    @staticmethod
    def _error(status: int, message: str) -> web.Response:
        return web.json_response({"code": "refused", "message": message}, status=status)


@asynccontextmanager
async def serving(standin: TelegramStandIn | RestStandIn) -> AsyncIterator[None]:
    """Serve it on a free port; sets its `url`."""
    app = web.Application()
    route = "/bot{token}/{method}" if isinstance(standin, TelegramStandIn) else "/{tail:.*}"
    app.router.add_route("*", route, standin._answer)
    runner = web.AppRunner(app, shutdown_timeout=0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    standin.url = f"http://{host}:{port}"
    try:
        yield
    finally:
        if isinstance(standin, TelegramStandIn):
            await standin.close()
        else:
            standin.may_answer.set()
        await runner.cleanup()


def client_of(telegram: TelegramStandIn, token: str = TOKEN) -> TelegramClient:
    return TelegramClient(SecretStr(token), telegram.url)


def rest_settings(rest: RestStandIn) -> RestClientSettings:
    return RestClientSettings(rest_service_url=rest.url, service_api_key=SecretStr("service-key"))


async def until(condition: Callable[[], Awaitable[bool] | bool], seconds: float = 10) -> None:
    """Wait until the condition holds; for what nobody notifies of, such as keys in Redis."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(0.005)
