"""Messages on the two queues (the queue contract, envelope v1).

`id` is deterministic, so that every hop can drop a repeat: `tg:<update_id>` for a Telegram update,
`job:<id>:<fire_ts>` for a firing, `<id>:r<n>` for the n-th reply to a message. A message without an
id is served, but without dedupe.
"""

from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service_kit.contracts.base import Choice

QUEUE_TO_SECRETARY = "queue:to_secretary"
QUEUE_TO_TELEGRAM = "queue:to_telegram"

STREAM_TO_TELEGRAM = "stream:to_telegram"
"""Channel of `PartialReply`."""

LONGEST_ID = 200
"""Characters."""
MAX_INCOMING_TEXT = 32_768
"""Characters. Telegram sends at most 4,096 in one message; joined ones may be longer."""
MAX_OUTGOING_TEXT = 131_072
"""Characters of one reply: 32 Telegram messages, more than anybody reads."""


class IncomingType(Choice):
    """What may stand on `queue:to_secretary`."""

    MESSAGE = "message"
    RESET = "reset"
    """The user asked for a new conversation (`/new`)."""


class OutgoingType(Choice):
    """What may stand on `queue:to_telegram`."""

    REPLY = "reply"
    """An answer of the assistant, in the model's Markdown."""
    NOTIFICATION = "notification"
    """A reminder or a job's message; not an answer to anything."""
    NOTICE = "notice"
    """Plain text of the system itself: a command's answer, a friendly failure."""


class Envelope(BaseModel):
    """What both directions share."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    v: Literal[1] = 1
    id: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID)] | None = None
    correlation_id: str | None = Field(default=None, max_length=LONGEST_ID)

    @property
    def correlation(self) -> str:
        """The id that follows one user message through every service's log."""
        return self.correlation_id or self.id or "none"


class IncomingMessage(Envelope):
    """What a user said; produced by tg_bot, consumed by assistant."""

    type: IncomingType = IncomingType.MESSAGE
    user_id: int
    """Internal id (TelegramUser.id), not Telegram's."""
    chat_id: int
    """The Telegram chat that the answer goes to."""
    text: str = Field(default="", max_length=MAX_INCOMING_TEXT)
    sent_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _require_text(self) -> "IncomingMessage":
        if self.type is IncomingType.MESSAGE and not self.text.strip():
            msg = "a message needs a text"
            raise ValueError(msg)
        return self


class OutgoingMessage(Envelope):
    """What goes to a chat; produced by assistant, cron_service and the calendar, consumed by tg_bot."""

    type: OutgoingType = OutgoingType.REPLY
    chat_id: int | None = None
    user_id: int | None = None
    """Internal id; tg_bot looks the chat up where only this is given."""
    text: str = Field(min_length=1, max_length=MAX_OUTGOING_TEXT)
    in_reply_to: str | None = None
    """Id of the message this answers: the typing indicator of that message ends here."""
    bot_id: int | None = None
    """The bot that must send it. To another bot the same chat_id is another chat."""
    to_stranger: bool = False
    """Allows an unknown chat (a refusal, a group): only for notices with a chat_id and a bot_id. Any other
    message to an unknown chat is a mistake and is not delivered."""

    @model_validator(mode="after")
    def _require_address(self) -> "OutgoingMessage":
        if self.chat_id is None and self.user_id is None:
            msg = "a message needs a chat_id or a user_id"
            raise ValueError(msg)
        return self


class PartialReply(BaseModel):
    """A reply's text so far, to show it while it grows.

    Published on the Redis channel `STREAM_TO_TELEGRAM` (PUBLISH: nobody listening, nothing kept). It
    guarantees nothing: any of them may be missing. The reply itself comes on `queue:to_telegram`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    v: Literal[1] = 1
    in_reply_to: str
    """Id of the message that is being answered."""
    chat_id: int
    user_id: int
    seq: int = Field(ge=1)
    """Counts up within one attempt at an answer; 1 begins anew."""
    text: str = Field(min_length=1, max_length=MAX_OUTGOING_TEXT)
    """All of it so far, in the model's Markdown, perhaps cut within a construct."""


def reply_id(message_id: str, number: int = 0) -> str:
    """Id of the `number`-th reply to `message_id`; the middle is a hash where it would be too long."""
    end = f":r{number}"
    # without the hash, long ids with the same beginning would share their reply ids
    if len(message_id) + len(end) > LONGEST_ID:
        end = f"~{sha256(message_id.encode('utf-8', 'surrogatepass')).hexdigest()}{end}"
    return message_id[: LONGEST_ID - len(end)] + end
