"""A bot's updates: kept until confirmed, handed out by long polling (Bot API, "getUpdates")."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..storage import Store
from ..waiting import Signal
from .errors import ConflictError

MAX_LIMIT = 100
MAX_TIMEOUT = 50.0
_DEFAULT_TYPES = frozenset({"message", "edited_message", "callback_query", "my_chat_member"})

Update = dict[str, Any]
"""An Update as JSON: update_id and one field with the thing itself."""


class UpdateQueue:
    """Updates of one bot, oldest first."""

    def __init__(self, bot_id: int, store: Store) -> None:
        self.bot_id = bot_id
        self.webhook: str | None = None
        self.allowed: frozenset[str] = _DEFAULT_TYPES
        self.commands: dict[str, list[Any]] = {}
        self._store = store
        self._updates: deque[Update] = deque()
        self._arrived = Signal()
        self._poll = 0

    def __len__(self) -> int:
        return len(self._updates)

    def restore(self, updates: Sequence[Update]) -> None:
        """Take over what an earlier run left."""
        self._updates.extend(updates)

    def put(self, kind: str, update_id: int, body: object) -> bool:
        """Add an update of type `kind`; False where the bot does not want that type."""
        if kind not in self.allowed:
            return False
        update: Update = {"update_id": update_id, kind: body}
        self._updates.append(update)
        self._store.save_update(self.bot_id, update_id, update)
        self._arrived.fire()
        return True

    def adopt(self, update: Update) -> None:
        """Take over an update that was made before this bot was known."""
        self._updates.append(update)
        self._store.save_update(self.bot_id, update["update_id"], update)
        self._arrived.fire()

    def drain(self) -> list[Update]:
        """Give all pending updates away."""
        updates = list(self._updates)
        self.drop_all()
        return updates

    def drop_all(self) -> None:
        """Forget all pending updates."""
        self._confirm_below(self._updates[-1]["update_id"] + 1 if self._updates else 0)

    async def get(
        self,
        *,
        offset: int = 0,
        limit: int = MAX_LIMIT,
        wait: float = 0.0,
        allowed: Sequence[str] | None = None,
    ) -> list[Update]:
        """The next updates, waiting up to `wait` seconds for the first.

        A positive `offset` confirms everything below it; a negative one forgets all but the last
        `-offset`. A newer call ends an older one that still waits: the older raises ConflictError.
        """
        if self.webhook:
            raise ConflictError(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the "
                "webhook first"
            )
        if allowed is not None:
            self.allowed = frozenset(allowed) or _DEFAULT_TYPES
        # as at Telegram, a newer poll ends an older one: the older sees that the number has changed
        self._poll += 1
        poll = self._poll
        self._arrived.fire()
        self._move_to(offset)
        await self._wait(poll, min(max(wait, 0.0), MAX_TIMEOUT))
        # Telegram corrects a wrong limit instead of refusing it
        size = limit if 1 <= limit <= MAX_LIMIT else MAX_LIMIT
        return [self._updates[number] for number in range(min(size, len(self._updates)))]

    async def _wait(self, poll: int, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._updates:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            await self._arrived.wait(left)
            if poll != self._poll:
                raise ConflictError(
                    "terminated by other getUpdates request; make sure that only one bot instance is running"
                )

    def _move_to(self, offset: int) -> None:
        if offset > 0:
            self._confirm_below(offset)
        elif offset < 0 and len(self._updates) > -offset:
            self._confirm_below(self._updates[offset]["update_id"])

    def _confirm_below(self, offset: int) -> None:
        confirmed = False
        while self._updates and self._updates[0]["update_id"] < offset:
            self._updates.popleft()
            confirmed = True
        if confirmed:
            # one statement for all of them: a bot confirms at every poll
            self._store.drop_updates(self.bot_id, offset)
