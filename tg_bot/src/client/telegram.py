"""The Bot API over aiohttp: what the bot calls, typed; errors as in `errors`."""

import json
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import BaseModel, SecretStr, ValidationError

from .errors import Failure, NotSentError, ServerError, UncertainError, error_for
from .models import ALLOWED_UPDATES, BotIdentity, Command, Entity

T = TypeVar("T", bound=BaseModel)

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 20.0
"""Seconds for Telegram to answer an ordinary call, once it is sent."""
POOL_SIZE = 64
"""Connections kept open; further calls wait for a free one. One of them is the long poll's."""

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class TelegramClient:
    """One connection pool to the Bot API for one bot. A context manager; opens nothing before it is used.

    Every method may raise any error of `errors`.
    """

    def __init__(self, token: SecretStr, api_url: str) -> None:
        self._base_url = f"{api_url.rstrip('/')}/bot{token.get_secret_value()}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL_SIZE, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json"},
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session:
            await self._session.close()

    async def get_me(self) -> BotIdentity:
        """Who the token belongs to."""
        return self._parse("getMe", BotIdentity, await self._make_request("getMe"))

    async def get_updates(
        self,
        offset: int | None = None,
        timeout: int = 25,  # noqa: ASYNC109 - Telegram's parameter, not ours
        *,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Updates from `offset` on, unparsed: one that is malformed must not hide the others.

        Waits up to `timeout` seconds for the first. Everything below `offset` is confirmed by the call.
        """
        params: dict[str, Any] = {"timeout": timeout, "limit": limit, "allowed_updates": ALLOWED_UPDATES}
        if offset is not None:
            params["offset"] = offset
        result = await self._make_request("getUpdates", answer_timeout=timeout + ANSWER_TIMEOUT, **params)
        if not isinstance(result, list):
            raise ServerError("getUpdates: the answer is not a list")
        return [update if isinstance(update, dict) else {} for update in result]

    async def send_message(self, chat_id: int, text: str, entities: Sequence[Entity] = ()) -> int:
        """Send `text` (1 to 4,096 UTF-16 units); returns the message's id in its chat."""
        params: dict[str, Any] = {"chat_id": chat_id, "text": text}
        if entities:
            params["entities"] = entities
        sent = await self._make_request("sendMessage", **params)
        # it was accepted, whatever the answer looks like: an error here would send it twice
        return int(sent.get("message_id", 0)) if isinstance(sent, dict) else 0

    async def send_chat_action(self, chat_id: int, action: str = "typing") -> None:
        """Show 'typing…' for up to 5 s, or until a message arrives."""
        await self._make_request("sendChatAction", chat_id=chat_id, action=action)

    async def set_my_commands(self, commands: Sequence[Command], language_code: str | None = None) -> None:
        """The bot's menu, for people of that language (None: for all others)."""
        params: dict[str, Any] = {"commands": [command.model_dump() for command in commands]}
        if language_code:
            params["language_code"] = language_code
        await self._make_request("setMyCommands", **params)

    async def delete_webhook(self) -> None:
        """Let getUpdates work again; updates that wait are kept."""
        await self._make_request("deleteWebhook", drop_pending_updates=False)

    async def _make_request(
        self,
        method: str,
        *,
        answer_timeout: float = ANSWER_TIMEOUT,
        **params: Any,  # noqa: ANN401 - JSON
    ) -> Any:  # noqa: ANN401 - JSON
        """Call `method`; returns the `result` of the answer."""
        if self._session is None:
            msg = "the client is used outside its context"
            raise RuntimeError(msg)
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=answer_timeout)
        try:
            async with self._session.post(
                f"{self._base_url}/{method}",
                data=json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode(),
                timeout=timeout,
            ) as response:
                status, body = response.status, await response.read()
        except _NEVER_SENT as exc:
            # `from None`, here and below: aiohttp's errors may hold the URL, and with it the token
            raise NotSentError(f"{method}: no connection ({type(exc).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise UncertainError(f"{method}: sent, but not answered ({type(exc).__name__})") from None
        return self._result(method, status, body)

    def _result(self, method: str, status: int, body: bytes) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServerError(f"{method}: {status} and no JSON object")
        if answer.get("ok") is True:
            return answer.get("result")
        try:
            failure = Failure.model_validate({"error_code": status, **answer})
        except ValidationError:
            raise ServerError(f"{method}: {status} and an answer of an unknown shape") from None
        raise error_for(method, failure)

    @staticmethod
    def _parse(method: str, model: type[T], result: object) -> T:
        try:
            return model.model_validate(result)
        except ValidationError:
            raise ServerError(f"{method}: a result of an unknown shape") from None
