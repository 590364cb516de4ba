"""Queries on provider-side threads."""

from sqlalchemy import func

from service_kit.contracts.threads import UserThreadCreate, UserThreadRead

from ..models import threads
from .base import Repository


class ThreadRepository(Repository[UserThreadRead]):
    """`user_assistant_threads`."""

    table = threads
    read = UserThreadRead
    noun = "thread"
    order = (threads.c.created_at, threads.c.id)

    async def create(self, body: UserThreadCreate) -> UserThreadRead:
        """A new thread, used now."""
        return await self.insert(body.model_dump() | {"last_used": func.now()})
