"""The Bot API's methods, as far as a chat bot uses them."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from .chat import Chat
from .errors import BadRequestError, BotApiError
from .formatting import format_text
from .messenger import Messenger
from .parameters import Parameters

Result = Any
"""What stands under `result`: JSON of the shape that the method documents."""

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_MAX_COMMANDS = 100
_MAX_DESCRIPTION = 256
_ACTIONS = frozenset({
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note",
})  # fmt: skip


class Methods:
    """What a bot may call. Each method returns its `result` or raises BotApiError."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self.table: dict[str, Callable[[int, Parameters], Awaitable[Result]]] = {
            # names of methods are not case-sensitive (Bot API, "Making requests")
            "getme": self._get_me,
            "getupdates": self._get_updates,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getwebhookinfo": self._get_webhook_info,
            "sendmessage": self._send_message,
            "editmessagetext": self._edit_message_text,
            "sendchataction": self._send_chat_action,
            "setmycommands": self._set_my_commands,
            "getmycommands": self._get_my_commands,
            "deletemycommands": self._delete_my_commands,
            "answercallbackquery": self._answer_callback_query,
            "getchat": self._get_chat,
        }

    async def _get_me(self, bot_id: int, _parameters: Parameters) -> Result:
        return self._messenger.bot_user(bot_id) | {
            "can_join_groups": False,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    async def _get_updates(self, bot_id: int, parameters: Parameters) -> Result:
        queue = self._messenger.bot(bot_id)
        self._messenger.note_poll(bot_id)
        return await queue.get(
            offset=parameters.integer("offset"),
            limit=parameters.integer("limit", 100),
            wait=parameters.number("timeout"),
            allowed=parameters.array("allowed_updates"),
        )

    async def _set_webhook(self, bot_id: int, parameters: Parameters) -> Result:
        url = parameters.text("url") or ""
        if url and not url.startswith("https://"):
            raise BadRequestError("bad webhook: An HTTPS URL must be provided for webhook")
        queue = self._messenger.bot(bot_id)
        queue.webhook = url or None
        if parameters.flag("drop_pending_updates"):
            queue.drop_all()
        return True

    async def _delete_webhook(self, bot_id: int, parameters: Parameters) -> Result:
        queue = self._messenger.bot(bot_id)
        queue.webhook = None
        if parameters.flag("drop_pending_updates"):
            queue.drop_all()
        return True

    async def _get_webhook_info(self, bot_id: int, _parameters: Parameters) -> Result:
        queue = self._messenger.bot(bot_id)
        return {
            "url": queue.webhook or "",
            "has_custom_certificate": False,
            "pending_update_count": len(queue),
            "allowed_updates": sorted(queue.allowed),
        }

    async def _send_message(self, bot_id: int, parameters: Parameters) -> Result:
        chat = self._chat(parameters)
        text, entities = format_text(
            parameters.text("text") or "", parameters.array("entities"), parameters.text("parse_mode")
        )
        message = self._messenger.send(chat, text, entities, parameters.mapping("reply_markup"))
        return self._messenger.message_json(bot_id, chat, message)

    async def _edit_message_text(self, bot_id: int, parameters: Parameters) -> Result:
        chat = self._chat(parameters)
        message = chat.find(parameters.integer("message_id"))
        if message is None:
            raise BadRequestError("message to edit not found")
        if message.sender != "bot":
            raise BadRequestError("message can't be edited")
        text, entities = format_text(
            parameters.text("text") or "", parameters.array("entities"), parameters.text("parse_mode")
        )
        self._messenger.edit(chat, message, text, entities, parameters.mapping("reply_markup"))
        return self._messenger.message_json(bot_id, chat, message)

    async def _send_chat_action(self, _bot_id: int, parameters: Parameters) -> Result:
        chat = self._chat(parameters)
        action = parameters.text("action")
        if action not in _ACTIONS:
            raise BadRequestError("wrong parameter action in request")
        self._messenger.type(chat)
        return True

    async def _set_my_commands(self, bot_id: int, parameters: Parameters) -> Result:
        commands = parameters.array("commands") or []
        if len(commands) > _MAX_COMMANDS:
            raise BadRequestError("too many commands specified")
        for command in commands:
            # Telegram takes names with and without the slash
            if not isinstance(command, dict) or not _COMMAND.fullmatch(
                str(command.get("command", "")).lstrip("/")
            ):
                raise BadRequestError("BOT_COMMAND_INVALID")
            if not 1 <= len(str(command.get("description", ""))) <= _MAX_DESCRIPTION:
                raise BadRequestError("BOT_COMMAND_DESCRIPTION_INVALID")
        self._messenger.bot(bot_id).commands[parameters.text("language_code") or ""] = commands
        return True

    async def _get_my_commands(self, bot_id: int, parameters: Parameters) -> Result:
        return self._messenger.bot(bot_id).commands.get(parameters.text("language_code") or "", [])

    async def _delete_my_commands(self, bot_id: int, parameters: Parameters) -> Result:
        self._messenger.bot(bot_id).commands.pop(parameters.text("language_code") or "", None)
        return True

    async def _answer_callback_query(self, _bot_id: int, parameters: Parameters) -> Result:
        if not parameters.text("callback_query_id"):
            raise BadRequestError("query is too old and response timeout expired or query ID is invalid")
        return True

    async def _get_chat(self, _bot_id: int, parameters: Parameters) -> Result:
        return self._chat(parameters).chat_json()

    def _chat(self, parameters: Parameters) -> Chat:
        given = parameters.text("chat_id")
        if not given:
            raise BadRequestError("chat_id is empty")
        chat = self._messenger.chat(parameters.integer("chat_id"))
        if chat is None:
            raise BadRequestError("chat not found")
        return chat


def method_not_found() -> BotApiError:
    """The answer to a method that does not exist (here)."""
    return BotApiError(404, "Not Found: method not found")
