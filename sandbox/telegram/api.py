"""`/telegram/bot<token>/<method>`: requests in, Telegram's answer shapes out."""

import hmac
import json
import re

from aiohttp import web
from pydantic import SecretStr

from ..faults import Fault, FaultBoard, apply_fault
from ..stats import Stats
from .errors import BadRequestError, BotApiError
from .messenger import Messenger
from .methods import Methods, method_not_found
from .parameters import Parameters, read_parameters

_TOKEN = re.compile(r"(\d{1,20}):[A-Za-z0-9_-]{1,128}")


class BotApi:
    """Serves the bot of `token` (None: every one whose token has the right form).

    The bot's id is the number before the colon.
    """

    def __init__(
        self, messenger: Messenger, stats: Stats, faults: FaultBoard, token: SecretStr | None = None
    ) -> None:
        self._token = token.get_secret_value() if token else None
        self._methods = Methods(messenger)
        self._stats = stats
        self._faults = faults

    def add_routes(self, app: web.Application) -> None:
        """Telegram answers GET and POST alike."""
        for method in ("GET", "POST"):
            app.router.add_route(method, "/telegram/bot{token}/{method}", self._handle)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        token = _TOKEN.fullmatch(request.match_info["token"])
        if token is None:
            return _refuse(BotApiError(404, "Not Found"))
        if self._token and not hmac.compare_digest(token[0].encode(), self._token.encode()):
            return _refuse(BotApiError(401, "Unauthorized"))
        if request.headers.get("Sec-Fetch-Site", "none") != "none":
            # a page in somebody's browser, not a bot: it could confirm updates or write as the bot
            return _refuse(BotApiError(403, "Forbidden: the sandbox's bots do not live in web pages"))
        name = request.match_info["method"]
        self._stats.count("telegram", name)
        try:
            parameters = await read_parameters(request)
        except web.HTTPRequestEntityTooLarge:
            return _refuse(BotApiError(413, "Request Entity Too Large"))
        except BadRequestError as error:
            return _refuse(error)

        async def proceed() -> web.Response:
            return await self._call(int(token[1]), name, parameters)

        fault = self._faults.take("telegram", name, chat_id=parameters.integer("chat_id") or None)
        if fault is None:
            return await proceed()
        self._stats.faults[f"telegram.{fault.kind}"] += 1
        return await apply_fault(fault, request, proceed, _apply_fault)

    async def _call(self, bot_id: int, name: str, parameters: Parameters) -> web.Response:
        method = self._methods.table.get(name.lower())
        try:
            if method is None:
                raise method_not_found()
            result = await method(bot_id, parameters)
        except BotApiError as error:
            return _refuse(error)
        return _answer(200, {"ok": True, "result": result})


_USUAL = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests: retry after {retry_after}",
    502: "Bad Gateway",
}


def _apply_fault(fault: Fault) -> web.Response:
    retry_after = fault.retry_after if fault.retry_after is not None or fault.status != 429 else 1
    usual = _USUAL.get(fault.status, "Internal Server Error").format(retry_after=retry_after)
    return _refuse(BotApiError(fault.status, fault.description or usual, retry_after))


def _refuse(error: BotApiError) -> web.Response:
    body: dict[str, object] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.retry_after is not None:
        body["parameters"] = {"retry_after": error.retry_after}
    return _answer(error.code, body)


def _answer(status: int, body: dict[str, object]) -> web.Response:
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=data, content_type="application/json")
