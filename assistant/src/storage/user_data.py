"""What is kept of users can be forgotten."""

from typing import Protocol


class UserData(Protocol):
    """Something that keeps what users said."""

    async def forget(self, user_id: int) -> int:
        """Drop all of this user's; returns how many conversations there were."""
        ...
