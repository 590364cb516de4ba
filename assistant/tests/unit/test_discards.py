import asyncio
from datetime import UTC, datetime
from typing import Any

from assistant.src.services.discards import DiscardSweeper
from service_kit.contracts.discards import DiscardRead
from service_kit.errors import RestUnavailableError
from service_kit.lifecycle import end_tasks

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class ListOnly:
    """rest_service whose database takes no changes at the moment."""

    def __init__(self, *rows: DiscardRead) -> None:
        self.rows = list(rows)
        self.listed = 0

    async def send(self, call):
        if call.method == "DELETE":
            msg = "read-only"
            raise RestUnavailableError(msg)
        self.listed += 1
        return self.rows


class Threads:
    """Calls for a sweep with whatever it forgets, as the real ones do."""

    def __init__(self) -> None:
        self.forgotten = asyncio.Event()

    async def delete_forgotten_rows(self) -> None:
        """There are none."""

    async def forget(self, _user_id: int) -> int:
        self.forgotten.set()
        return 1


async def test_a_sweep_that_cannot_finish_is_not_repeated_without_a_pause():
    gone = DiscardRead(id=1, kind="user", reference="7", created_at=NOON, updated_at=NOON)
    rest: Any = ListOnly(gone)
    threads: Any = Threads()
    sweeper = DiscardSweeper(rest, threads, [threads], delete_thread=lambda _: asyncio.sleep(0))
    task = asyncio.create_task(sweeper.run())
    for _ in range(1000):
        await asyncio.sleep(0)
    await end_tasks([task])
    assert rest.listed == 1
