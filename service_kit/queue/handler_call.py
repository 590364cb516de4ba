"""One call of a handler, and what came of it."""

import asyncio
from dataclasses import dataclass

from service_kit.logging import redact_text
from service_kit.queue.base import Delivery, Handler, Reject, RetryLater
from service_kit.queue.envelope import encode
from service_kit.tracebacks import describe

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Success:
    """The handler returned."""

    replies: list[bytes]


@dataclass(frozen=True, slots=True)
class HandlerFailure:
    """The handler raised."""

    reason: str
    """Fit for the dead letters: short, no secrets."""
    final: bool = False
    """No further try can help."""
    delay: float | None = None
    """Seconds the handler asked for; None leaves it to the queue."""
    is_wait: bool = False
    """The handler raised RetryLater: it waits for something else."""
    error: BaseException | None = None
    """What nobody expected, for the log."""


async def call_handler(handler: Handler, delivery: Delivery, timeout: float) -> Success | HandlerFailure:  # noqa: ASYNC109 - the option's name
    """Call `handler` for at most `timeout` seconds; only the cancellation of this very task gets out."""
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            replies = await handler(delivery)
        return Success([encode(reply) for reply in replies])
    except Reject as exc:
        return HandlerFailure(_shorten(exc.reason), final=True)
    except RetryLater as exc:
        return HandlerFailure(_shorten(exc.reason), delay=exc.delay, is_wait=True)
    except asyncio.CancelledError as exc:
        # whoever cancels this task wants it to end; a handler that raises by itself has failed
        if (task := asyncio.current_task()) and task.cancelling():
            raise
        return HandlerFailure("cancelled from within the handler", error=exc)
    except Exception as exc:  # noqa: BLE001 - the queue's loop: every failure is retried or a dead letter
        # a TimeoutError of the handler's own is an error like any other
        if limit.expired():
            return HandlerFailure(f"no result within {timeout:g} s")
        return HandlerFailure(_shorten(describe(exc)), error=exc)


def _shorten(reason: str) -> str:
    return redact_text(reason)[:LONGEST_REASON]
