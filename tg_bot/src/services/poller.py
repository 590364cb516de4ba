"""Long polling: asks Telegram for updates under the lease and gives them to `Intake`.

The next getUpdates confirms to Telegram what is stored, so nothing is lost when this process dies. Each
problem stands in the log and on the health page with what to do about it; then the poller tries again.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from service_kit.backoff import Backoff
from service_kit.errors import KitError, TransientError
from service_kit.lifecycle import raise_if_cancelled
from service_kit.logging import get_logger
from service_kit.queue.producer import RedisProducer

from ..client.errors import PollConflictError, RetryAfterError, TelegramError, UnauthorizedError
from ..client.models import BotIdentity
from ..client.telegram import TelegramClient
from .intake import Intake
from .lanes import DeferredError
from .lease import LeaseLostError, PollLease

log = get_logger(__name__)

DEFERRED_PAUSE = 1.0
"""Seconds between two tries while some users wait for rest_service and others can be served."""
UNAUTHORIZED_PAUSE = 60.0
"""Seconds between two tries with a token that Telegram does not know."""
SUSPENDED_PAUSE = 0.5
"""Seconds between two looks at the assistant's backlog."""
POLL_OVERDUE = 60.0
"""Seconds that a successful poll may be late before the service counts as not ready."""
OFFSET_LIFE = 6 * 86_400
"""Seconds. After a week without updates Telegram numbers them anew, perhaps lower: with an older offset
the bot would be deaf to them."""

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class PollOptions:
    """How to poll."""

    input_queue: str
    input_queue_limit: int
    poll_timeout: int


class NotPollingError(TransientError):
    """What the health page shows."""


class Poller:
    """Polls for ever. Calls `on_start` once, before the first poll, with the bot that owns the token."""

    def __init__(
        self,
        telegram: TelegramClient,
        producer: RedisProducer,
        lease: PollLease,
        intake: Intake,
        *,
        redis: aioredis.Redis,
        options: PollOptions,
        on_start: Callable[[BotIdentity], Awaitable[None]],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._telegram = telegram
        self._producer = producer
        self._lease = lease
        self._intake = intake
        self._redis = redis
        self._options = options
        self._on_start: Callable[[BotIdentity], Awaitable[None]] | None = on_start
        self._sleep = sleep
        self._last_update = self._last_poll = time.monotonic()
        self._problem: str | None = "no poll yet"
        self._polling = False
        self._suspended = False

    async def check(self) -> None:
        """For the health page: raises NotPollingError when updates do not come in."""
        if self._problem:
            raise NotPollingError(self._problem)
        age = time.monotonic() - self._last_poll
        if self._polling and age > self._options.poll_timeout + POLL_OVERDUE:
            raise NotPollingError(f"no successful poll for {age:.0f} s")

    async def run(self) -> NoReturn:
        """Poll until cancelled."""
        backoff = _backoff()
        while True:
            raise_if_cancelled()
            try:
                bot = await self._telegram.get_me()
                if self._on_start:
                    await self._on_start(bot)
                    self._on_start = None
                self._report_well()  # a standby without the lease is healthy too
                await self._lease.hold(str(bot.id), partial(self._poll_as, bot))
            except (LeaseLostError, TelegramError, KitError, RedisError) as exc:
                self._polling = False
                await self._report_and_wait(exc, backoff.next_delay())

    async def _poll_as(self, bot: BotIdentity) -> NoReturn:
        key = f"tg:offset:{bot.id}"
        self._intake.resume(await self._producer.load_offset(key))
        self._last_update = time.monotonic()
        self._polling = True
        log.info("polling", bot=bot.username, offset=self._intake.next)
        try:
            await self._poll_for_ever(key)
        finally:
            await self._intake.close()

    async def _poll_for_ever(self, key: str) -> NoReturn:
        backoff = _backoff()
        while True:
            raise_if_cancelled()
            try:
                await self._poll(key)
                backoff.reset()
            except (TelegramError, KitError, RedisError) as exc:
                await self._report_and_wait(exc, backoff.next_delay())

    async def _poll(self, key: str) -> None:
        """Call getUpdates once and take the updates in, unless the assistant has a backlog."""
        waiting = await self._producer.waiting(self._options.input_queue)
        if waiting > self._options.input_queue_limit:
            if not self._suspended:
                log.warning("polling_suspended", waiting=waiting)
            self._suspended = True
            self._report_well()
            await self._sleep(SUSPENDED_PAUSE)
            return
        self._suspended = False
        if time.monotonic() - self._last_update > OFFSET_LIFE:
            self._intake.forget()
        updates = await self._telegram.get_updates(self._intake.next, self._options.poll_timeout)
        if updates:
            self._last_update = time.monotonic()
            await self._intake.take(key, updates)
        else:  # nx: from the last update on, not from the last poll
            await self._redis.expire(key, OFFSET_LIFE, nx=True)
        self._report_well()

    def _report_well(self) -> None:
        self._last_poll = time.monotonic()
        self._problem = None

    async def _report_and_wait(self, exc: Exception, pause: float) -> None:
        """Report what is wrong and what to do about it, then wait."""
        previous, self._problem = self._problem, str(exc) or type(exc).__name__
        match exc:
            case DeferredError():
                pause = min(pause, DEFERRED_PAUSE)
                if self._problem != previous:  # not at every try, which would be once a second
                    log.warning("updates_deferred", error=self._problem)
            case UnauthorizedError():
                self._problem = (
                    "Telegram does not know the token: set TELEGRAM_TOKEN right and restart tg_bot"
                )
                log.critical("token_rejected", advice=self._problem, error=str(exc))
                pause = UNAUTHORIZED_PAUSE
            case PollConflictError(by_webhook=True):
                log.warning("webhook_active", advice="it is removed; what waits there is kept")
                await self._delete_webhook()
            case PollConflictError():
                log.error(
                    "another_poller",
                    advice="another process, perhaps on another machine, polls with the same TELEGRAM_TOKEN: "
                    "stop it, or give each its own bot",
                    error=str(exc),
                )
            case RetryAfterError():
                log.warning("polling_paused", seconds=exc.retry_after)
                pause = exc.retry_after
            case LeaseLostError():
                log.warning("polling_lease_lost", reason=str(exc))
            case _:
                log.warning("polling_failed", error=self._problem, retry_in=pause)
        await self._sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret

    async def _delete_webhook(self) -> None:
        try:
            await self._telegram.delete_webhook()
        except TelegramError as exc:
            log.warning("webhook_removal_failed", error=str(exc))


def _backoff() -> Backoff:
    return Backoff(0.5, 8.0)
