"""The Bot API over aiohttp: typed methods; errors as in `errors`."""

import json
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import BaseModel, SecretStr, ValidationError

from .errors import (
    DEFAULT_RETRY_AFTER,
    Failure,
    NotSentError,
    RetryAfterError,
    ServerError,
    TelegramTransientError,
    UncertainError,
    error_for,
)
from .models import ALLOWED_UPDATES, BotIdentity, Command, Entity

T = TypeVar("T", bound=BaseModel)

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection is open: a free place in the pool, DNS, TCP and TLS."""
CALL_TIMEOUT = 20.0
"""Seconds for a call, to the last byte of its answer."""
LARGEST_ANSWER = 16 * 2**20
"""Bytes. 100 updates with the longest texts and their entities stay below it."""
POOL_SIZE = 64
"""Open connections, one of them for the long poll; further calls wait for a free one."""

MOST_UPDATES = 100
"""Updates in one answer to getUpdates (Bot API)."""
NO_PREVIEW = {"is_disabled": True}
"""`LinkPreviewOptions`. For a preview Telegram fetches the address, and an injected text may have made the
model write private data into it."""

_CONNECT_ERRORS = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class TelegramClient:
    """One connection pool to the Bot API for one bot. A context manager; it opens connections on use.

    Every method may raise any error of `errors`.
    """

    def __init__(self, token: SecretStr, api_url: str) -> None:
        self._base_url = f"{api_url.rstrip('/')}/bot{token.get_secret_value()}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=POOL_SIZE, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            # uncompressed: a compressed answer could unpack to a thousand times its size
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
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
        limit: int = MOST_UPDATES,
    ) -> list[dict[str, Any]]:
        """Updates from `offset` on, unparsed, because a malformed one must not hide the others.

        Waits up to `timeout` seconds for the first. Everything below `offset` is confirmed by the call.
        """
        params: dict[str, Any] = {"timeout": timeout, "limit": limit, "allowed_updates": ALLOWED_UPDATES}
        if offset is not None:
            params["offset"] = offset
        result = await self._make_request("getUpdates", call_timeout=timeout + CALL_TIMEOUT, **params)
        if not isinstance(result, list):
            raise ServerError("getUpdates: the answer is not a list")
        return [update if isinstance(update, dict) else {} for update in result]

    async def send_message(self, chat_id: int, text: str, entities: Sequence[Entity] = ()) -> int:
        """Send `text` (1 to 4,096 UTF-16 units); returns the id it has in its chat, or 0."""
        params: dict[str, Any] = {"chat_id": chat_id, "text": text, "link_preview_options": NO_PREVIEW}
        if entities:
            params["entities"] = entities
        sent = await self._make_request("sendMessage", **params)
        # Telegram accepted it, whatever the result looks like: an error here would send it twice
        message_id = sent.get("message_id") if isinstance(sent, dict) else None
        return message_id if isinstance(message_id, int) else 0

    async def send_chat_action(self, chat_id: int, action: str = "typing") -> None:
        """Show 'typing…' for 5 s, or until a message arrives."""
        await self._make_request("sendChatAction", chat_id=chat_id, action=action)

    async def set_my_commands(self, commands: Sequence[Command], language_code: str | None = None) -> None:
        """Set the bot's menu for users of that language (None: for all others)."""
        params: dict[str, Any] = {"commands": [command.model_dump() for command in commands]}
        if language_code:
            params["language_code"] = language_code
        await self._make_request("setMyCommands", **params)

    async def delete_webhook(self) -> None:
        """Remove the webhook, so that getUpdates works; Telegram keeps pending updates."""
        await self._make_request("deleteWebhook", drop_pending_updates=False)

    async def _make_request(
        self,
        method: str,
        *,
        call_timeout: float = CALL_TIMEOUT,
        **params: Any,  # noqa: ANN401 - JSON
    ) -> Any:  # noqa: ANN401 - JSON
        """Call `method`; returns the `result` of the answer."""
        if self._session is None:
            msg = "the client is used outside its context"
            raise RuntimeError(msg)
        try:
            async with self._session.post(
                f"{self._base_url}/{method}",
                data=json.dumps(params, ensure_ascii=False, separators=(",", ":")).encode(),
                timeout=aiohttp.ClientTimeout(total=call_timeout, connect=min(CONNECT_TIMEOUT, call_timeout)),
                allow_redirects=False,  # the token would go wherever it points
            ) as response:
                status, body = response.status, await _read(response)
        except _CONNECT_ERRORS as exc:
            # `from None`, here and below: aiohttp's errors may hold the URL, and with it the token
            raise NotSentError(f"{method}: no connection ({type(exc).__name__})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise UncertainError(f"{method}: sent, but not answered ({type(exc).__name__})") from None
        return self._result(method, status, body)

    def _result(self, method: str, status: int, body: bytes | None) -> Any:  # noqa: ANN401 - JSON
        if body is None:
            raise ServerError(f"{method}: {status} and more than {LARGEST_ANSWER} bytes")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):  # the latter: nested a thousand deep
            answer = None
        if not isinstance(answer, dict) or "ok" not in answer:
            raise _error_of_gateway(method, status)
        if answer.get("ok") is True:
            return answer.get("result")
        try:
            failure = Failure.model_validate({"error_code": status, **answer})
        except ValidationError:
            raise _error_of_gateway(method, status) from None
        raise error_for(method, failure)

    @staticmethod
    def _parse(method: str, model: type[T], result: object) -> T:
        try:
            return model.model_validate(result)
        except ValidationError:
            raise ServerError(f"{method}: a result of an unknown shape") from None


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is larger than `LARGEST_ANSWER`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            return None
    return bytes(body)


def _error_of_gateway(method: str, status: int) -> TelegramTransientError:
    """The error for an answer that is not of the Bot API, such as a proxy's."""
    text = f"{method}: {status} and no answer of the Bot API"
    if status == 429:
        return RetryAfterError(text, retry_after=DEFAULT_RETRY_AFTER)
    return NotSentError(text) if 400 <= status < 500 else ServerError(text)
