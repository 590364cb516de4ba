"""What goes back to the user."""

from service_kit.contracts.messages import (
    MAX_OUTGOING_TEXT,
    IncomingMessage,
    OutgoingMessage,
    OutgoingType,
    reply_id,
)

from ..utils.text import shorten


def answer_to(message: IncomingMessage, text: str, *, kind: OutgoingType) -> OutgoingMessage:
    """The answer to `message`; its id follows from the message's, so that a repeat is known as one."""
    return OutgoingMessage(
        id=reply_id(message.id) if message.id else None,
        correlation_id=message.correlation_id or message.id,
        type=kind,
        chat_id=message.chat_id,
        user_id=message.user_id,
        text=shorten(text, MAX_OUTGOING_TEXT, "…"),
        in_reply_to=message.id,
    )
