"""A crowd: all users write in the same moment, again and again; how long they wait and what it takes.

    python -m tests.load.crowd [--users 500] [--waves 6] [--latency 2] [--over 0]
                               [--replicas 1] [--tools] [--alone]

Each wave is one question of every user, all at once or evenly over `--over` seconds; the next wave begins
when all are answered and everybody has begun a new conversation, so that all waves are alike and what
stays in memory is no longer history. The users are known and their connections are made before the first
wave. Printed for each wave: from message to reply (p50, p99), and the resident memory of all assistant
processes before, at its peak and after. Then: growth a user at the highest peak, what stays between the
third wave and the last, the replicas' shares, and whether the promise holds (p99 at most the model's
latency + 0.5 s, under 1 MB a user, nothing that stays; exit code 1 where it does not).

All five services run; the measuring process plays Telegram and the model. `--alone` leaves out the bot:
the messages are put on the queue and the replies taken from it by the measuring process, so that what is
seen is the assistant by itself (with real Redis, PostgreSQL and rest_service). `--tools`: the model asks
for the time first, two calls of it share the latency. All traffic stays on 127.0.0.1.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import uvloop

from assistant.src.services.usage import PENDING
from assistant.src.storage.provider_threads import FORGET
from service_kit.redis import connect
from tests.harness.suite import Suite
from tests.load.measure import Figures, figures
from tests.load.queue_door import QueueDoor, redis_of
from tests.load.stage import staged
from tests.load.world import World

ALONE = ("rest_service", "assistant")
SPARE = 0.5
"""Seconds that the suite may add to the model's latency, at the 99th percentile."""
GROWTH_LIMIT = 1.0
STAYS_LIMIT = 2.0
"""MB: what allocator and garbage collector move to and fro between two looks."""
SETTLED = 1.5
"""Seconds after the last reply until memory is looked at: acknowledgements and records are still written."""
WARM = 5
"""Users that write before memory is looked at for the first time, so that all code is loaded."""


@dataclass(frozen=True)
class Plan:
    """Who writes how often, to what."""

    users: int = 500
    waves: int = 6
    latency: float = 2.0
    over: float = 0.0
    replicas: int = 1
    tools: bool = False
    alone: bool = False


@dataclass
class Memory:
    """Resident megabytes of the assistants together: now, and the highest since the last look."""

    processes: list[psutil.Process]
    peak: float = 0.0

    def now(self) -> float:
        """As the system counts it."""
        return float(sum(process.memory_info().rss for process in self.processes)) / 1e6

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(0.02)


@dataclass
class Wave:
    """What one wave has shown; memory in MB."""

    seen: Figures
    before: float
    peak: float
    after: float
    latency: float

    def row(self, name: str) -> str:
        """A line under HEADER."""
        seen = self.seen
        cpu = " ".join(f"{who}={ms:.2f}" for who, ms in seen.cpu_ms.items() if ms >= 0.1)
        return (
            f"{name:<6} {seen.asked:>6} {seen.asked - seen.answered:>5} {seen.doubled:>5} "
            f"{self.latency + seen.p50 / 1000:>7.2f} {self.latency + seen.p99 / 1000:>7.2f} "
            f"{self.before:>8.1f} {self.peak:>8.1f} {self.after:>8.1f}  {cpu}"
        )


HEADER = (
    f"{'wave':<6} {'asked':>6} {'lost':>5} {'twice':>5} {'p50 s':>7} {'p99 s':>7} "
    f"{'MB':>8} {'peak':>8} {'after':>8}  cpu ms a message"
)


@dataclass
class Crowd:
    """A suite and those who write to it."""

    plan: Plan
    world: World
    suite: Suite
    door: QueueDoor | None
    memory: Memory
    waves: list[Wave] = field(default_factory=list)
    met: int = 0
    """So many users have written in the last wave."""

    async def wave(self, users: int, *, latency: float) -> Wave:
        """One question of each of the first `users`, who remember nothing of the wave before."""
        if self.met:
            await self._begin_anew()
        self.met = users
        self.world.reset(model_latency=latency)
        cpu = self.suite.cpu_seconds()
        before = self.memory.peak = self.memory.now()
        watching = asyncio.create_task(self.memory.watch())
        await self._ask(users)
        await self.world.all_answered(within=120)
        await asyncio.sleep(SETTLED)
        watching.cancel()
        seen = figures("suite", "crowd", self.world)
        used = self.suite.cpu_seconds()
        seen.cpu_ms = {name: (used[name] - cpu[name]) * 1000 / max(1, seen.asked) for name in used}
        return Wave(seen, before, self.memory.peak, self.memory.now(), latency)

    async def _ask(self, users: int) -> None:
        if self.door and not self.plan.over:
            await self.door.ask_all(range(users))
            return
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for user in range(users):
            if self.plan.over:
                await asyncio.sleep(max(0.0, begin + user * self.plan.over / users - loop.time()))
            if self.door:
                await self.door.ask_all([user])
            else:
                self.world.ask(user)

    async def _begin_anew(self) -> None:
        self.world.reset(model_latency=0.0)
        if self.door:
            await self.door.begin_anew(range(self.met))
        else:
            for user in range(self.met):
                self.world.say(user, "/new")
        async with asyncio.timeout(120):
            while len(self.world.answers) < self.met:  # noqa: ASYNC110 - the bot's words come one by one
                await asyncio.sleep(0.05)
        await self._rested()

    async def _rested(self) -> None:
        """Until nothing of the last wave is still being done: sweeping after `/new`, posting of usage."""
        redis = connect(redis_of(self.suite))
        async with asyncio.timeout(120):
            while await redis.exists(FORGET, PENDING):  # noqa: ASYNC110 - another process's work
                await asyncio.sleep(0.1)
        await redis.aclose()

    def shares(self) -> dict[str, int]:
        """Messages that each assistant has answered, as its log tells."""
        logs = {name: self.suite.processes[name].log.read_text() for name in self.suite.assistants}
        return {name: text.count('"event": "reply_sent"') for name, text in logs.items()}


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Crowd]:
    """The suite with the world around it; code loaded, users not yet known."""
    world = World(tool_round=plan.tools)
    services: dict[str, Any] = {"services": ALONE} if plan.alone else {}
    async with (
        staged(world, replicas=plan.replicas, **services) as suite,
        QueueDoor.opened(suite, world, plan.users) if plan.alone else _no_door() as door,
    ):
        yield Crowd(plan, world, suite, door, Memory(_processes(suite)))


@asynccontextmanager
async def _no_door() -> AsyncIterator[None]:
    yield None


def _processes(suite: Suite) -> list[psutil.Process]:
    found = [suite.processes[name].popen for name in suite.assistants]
    return [psutil.Process(popen.pid) for popen in found if popen]


async def measure(plan: Plan) -> bool:
    """Run the plan and print; whether the promise holds."""
    async with running(plan) as crowd:
        await crowd.wave(WARM, latency=0.0)
        start = crowd.memory.now()
        print(HEADER)
        met = await crowd.wave(plan.users, latency=0.0)
        print(met.row("met"), flush=True)
        for number in range(1, plan.waves + 1):
            crowd.waves.append(await crowd.wave(plan.users, latency=plan.latency))
            print(crowd.waves[-1].row(str(number)), flush=True)
        return _judged(crowd, start, met)


def _judged(crowd: Crowd, start: float, met: Wave) -> bool:
    plan, waves = crowd.plan, crowd.waves
    peak = max(wave.peak for wave in [met, *waves])
    growth = (peak - start) / plan.users
    settled = min(3, len(waves))
    stays = waves[-1].after - waves[settled - 1].after
    p99 = statistics.median(plan.latency + wave.seen.p99 / 1000 for wave in waves)
    lost = sum(wave.seen.asked - wave.seen.answered for wave in waves)
    twice = sum(wave.seen.doubled for wave in waves)
    shares = crowd.shares()
    total = sum(shares.values())
    print(f"memory: {start:.1f} MB before the users came, peak {peak:.1f} MB: {growth:.3f} MB a user")
    print(f"stays from wave {settled} to wave {len(waves)}: {stays:+.1f} MB")
    for name, count in shares.items():
        print(f"{name}: {count} of {total} replies ({count / max(1, total):.0%})")
    promises = {
        f"nothing lost or twice ({lost}, {twice})": not lost and not twice,
        f"p99 {p99:.2f} s (median of the waves) < {plan.latency + SPARE:.2f} s": p99 < plan.latency + SPARE,
        f"growth {growth:.3f} MB a user < {GROWTH_LIMIT:g} MB": growth < GROWTH_LIMIT,
        f"stays {stays:+.1f} MB < {STAYS_LIMIT:g} MB": stays < STAYS_LIMIT,
    }
    for text, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {text}")
    return all(promises.values())


async def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=Plan.users)
    parser.add_argument("--waves", type=int, default=Plan.waves)
    parser.add_argument("--latency", type=float, default=Plan.latency, help="seconds the model takes")
    parser.add_argument("--over", type=float, default=Plan.over, help="seconds over which a wave comes")
    parser.add_argument("--replicas", type=int, default=Plan.replicas)
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--alone", action="store_true")
    plan = Plan(**vars(parser.parse_args()))
    sys.exit(0 if await measure(plan) else 1)


if __name__ == "__main__":
    uvloop.run(main())
