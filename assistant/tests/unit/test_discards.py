import asyncio
from datetime import UTC, datetime
from typing import Any

from assistant.src.core.errors import ModelUnavailableError
from assistant.src.services import discards
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


def thread(number: int) -> DiscardRead:
    return DiscardRead(id=number, kind="thread", reference=f"conv_{number}", created_at=NOON, updated_at=NOON)


class Listing:
    """rest_service's list; what is forgotten leaves it."""

    def __init__(self, *rows: DiscardRead) -> None:
        self.rows = list(rows)

    async def send(self, call):
        if call.method == "DELETE":
            self.rows = [row for row in self.rows if not call.path.endswith(f"/{row.id}")]
            return None
        return self.rows[call.params["offset"] :]


async def test_what_failed_rests_and_what_came_since_does_not_wait_for_it(monkeypatch):
    asked: list[str] = []

    async def delete(thread_id: str) -> None:
        asked.append(thread_id)
        if thread_id == "conv_1":
            msg = "500"
            raise ModelUnavailableError(msg)

    rest: Any = Listing(thread(1))
    threads: Any = Threads()
    sweeper = DiscardSweeper(rest, threads, [], delete_thread=delete)
    await sweeper.sweep()
    rest.rows += [thread(2)]
    await sweeper.sweep()
    assert asked == ["conv_1", "conv_2"]
    assert rest.rows == [thread(1)]
    monkeypatch.setattr(discards, "RETRY_AFTER", -1.0)
    other = DiscardSweeper(rest, threads, [], delete_thread=delete)
    await other.sweep()
    await other.sweep()
    assert asked[2:] == ["conv_1", "conv_1"], "its rest was over"


async def test_who_is_deleted_waits_seconds_for_a_sweep_and_replicas_do_not_march_in_step(monkeypatch):
    pauses: list[float] = []
    enough = asyncio.Event()

    async def no_pause(_event: asyncio.Event, seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) == 20:
            enough.set()
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(discards, "sleep_unless", no_pause)
    monkeypatch.setattr(discards, "MIN_PAUSE", 0.0)
    rest: Any = Listing()
    threads: Any = Threads()
    task = asyncio.create_task(
        DiscardSweeper(rest, threads, [], delete_thread=lambda _: asyncio.sleep(0)).run()
    )
    async with asyncio.timeout(10):
        await enough.wait()
    await end_tasks([task])
    assert 5 < min(pauses) < max(pauses) < 15
