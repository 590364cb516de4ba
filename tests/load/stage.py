"""The suite on servers and processes of its own, with Telegram and the model played around it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness.suite import Suite
from tests.load.bench import throw_away_servers
from tests.load.world import World

LIFTED = {"TELEGRAM_RATE_LIMIT": "0", "TELEGRAM_CHAT_RATE_LIMIT": "0", "TELEGRAM_OPEN_ACCESS": "true"}


@asynccontextmanager
async def staged(
    world: World, *, replicas: int, settings: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[Suite]:
    """The suite, healthy, with Telegram's limits lifted and these `settings`; `more` goes to `Suite`."""
    await world.start()
    try:
        with throw_away_servers() as servers, tempfile.TemporaryDirectory() as folder:
            suite = Suite(
                Path(folder),
                servers.environment(),
                outside=world.url,
                extra=LIFTED | dict(settings or {}),
                replicas=replicas,
                **more,
            )
            await asyncio.to_thread(suite.__enter__)
            try:
                yield suite
            finally:
                await asyncio.to_thread(suite.__exit__)
    finally:
        await world.stop()
