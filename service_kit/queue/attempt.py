"""One call of a handler, and what came of it."""

import asyncio
from dataclasses import dataclass

from service_kit.logging import redact_text
from service_kit.queue.base import Delivery, Handler, Reject, RetryLater
from service_kit.queue.envelope import encode
from service_kit.tracebacks import describe

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Served:
    """The handler returned."""

    replies: list[bytes]


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised."""

    reason: str
    """Fit for the dead letters: short, no secrets."""
    final: bool = False
    """No further try can help."""
    delay: float | None = None
    """Seconds the handler asked for; None leaves it to the queue."""
    waits: bool = False
    """It waits for something else: RetryLater."""
    error: BaseException | None = None
    """What nobody expected, for the log."""


async def attempt(handler: Handler, delivery: Delivery, timeout: float) -> Served | Failed:  # noqa: ASYNC109 - the option's name
    """Call `handler` for at most `timeout` seconds; only the cancellation of this very task gets out."""
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            replies = await handler(delivery)
        return Served([encode(reply) for reply in replies])
    except Reject as exc:
        return Failed(_fit(exc.reason), final=True)
    except RetryLater as exc:
        return Failed(_fit(exc.reason), delay=exc.delay, waits=True)
    except asyncio.CancelledError as exc:
        if (task := asyncio.current_task()) and task.cancelling():
            raise
        return Failed("cancelled from within the handler", error=exc)
    except Exception as exc:  # noqa: BLE001 - the queue's loop: every failure is retried or buried
        if limit.expired():
            return Failed(f"no result within {timeout:g} s")
        return Failed(_fit(describe(exc)), error=exc)


def _fit(reason: str) -> str:
    return redact_text(reason)[:LONGEST_REASON]
