"""What is kept in the cache, and what makes each of it old.

A changed user makes only the answers with that user old, not those with all others: each has a mark.
"""

from dataclasses import dataclass
from uuid import UUID

from service_kit.changes import Topic


@dataclass(frozen=True, slots=True)
class Key:
    """One answer that is kept."""

    name: str
    topic: Topic
    """Whose announcement makes it old."""
    marked: bool = False
    """Whether its row has a mark of its own."""

    @property
    def entry(self) -> str:
        """Redis' key of the answer."""
        return f"cache:{self.name}"

    @property
    def mark(self) -> str:
        """Redis' key of the row's own mark, new at every change."""
        return f"changed:{self.name}"


def user(user_id: int) -> Key:
    """A user, by id."""
    return Key(f"user:{user_id}", Topic.ROWS, marked=True)


def account(telegram_id: int) -> Key:
    """A user, by Telegram account."""
    return Key(f"account:{telegram_id}", Topic.ROWS, marked=True)


def tree(assistant_id: UUID) -> Key:
    """An assistant with all it can reach."""
    return Key(f"tree:{assistant_id}", Topic.CONFIGURATION)
