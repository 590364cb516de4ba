"""How fast the model is."""

import asyncio
import random
from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """The model thinks `latency` seconds, give or take up to `jitter`; then `chunk` seconds a piece."""

    latency: float = 0.0
    jitter: float = 0.0
    chunk: float = 0.0

    def seconds(self) -> float:
        """How long the next answer takes to begin."""
        return max(0.0, self.latency + random.uniform(-self.jitter, self.jitter))  # noqa: S311 - no secret

    async def think(self) -> None:
        """Let the time pass."""
        seconds = self.seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)
