"""The events of a run that is streamed; steps of a run are not told."""

from ...model.conversation import JsonObject
from ..answering import pieces
from ..events import event
from .run import Run

DONE = b"event: done\ndata: [DONE]\n\n"


def opening(run: Run) -> list[bytes]:
    """While the model has not begun; moves the run on to `in_progress`."""
    created = run.as_json()
    run.status = "in_progress"
    return [
        event(created, "thread.run.created"),
        event(created, "thread.run.queued"),
        event(run.as_json(), "thread.run.in_progress"),
    ]


def closing(run: Run, message: JsonObject | None) -> list[bytes]:
    """What the model said, and how the run stands then."""
    said = [] if message is None else _message(message)
    return [*said, event(run.as_json(), f"thread.run.{run.status}"), DONE]


def _message(message: JsonObject) -> list[bytes]:
    begun = message | {"status": "in_progress", "content": [], "completed_at": None}
    events = [event(begun, "thread.message.created"), event(begun, "thread.message.in_progress")]
    text = message["content"][0]["text"]["value"]
    for number, piece in enumerate(pieces(text)):
        # the first one opens the part: only it has annotations
        value: JsonObject = {"value": piece, "annotations": []} if number == 0 else {"value": piece}
        delta = {"content": [{"index": 0, "type": "text", "text": value}]}
        events.append(
            event(
                {"id": message["id"], "object": "thread.message.delta", "delta": delta},
                "thread.message.delta",
            )
        )
    return [*events, event(message, f"thread.message.{message['status']}")]
