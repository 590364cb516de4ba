"""From Telegram update to reply: the suite next to the bare floor, in one run.

    python -m tests.load.bench [--quick] [--only suite|floor]

Four scenarios: light (20 messages a second, model 0 s), steady (50 a second from 200 users, model
1 s), burst-200 (200 users at once, model 1 s), burst-1000 (1,000 messages of 200 users, model 0 s).
Telegram's rate limits are lifted. Latencies are on top of the model's own. All traffic stays on
127.0.0.1; the run ends by itself after about two minutes.
"""

import argparse
import asyncio
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop

from ops.embedded import find_binaries
from service_kit.testing.servers import ThrowAwayServers
from tests.harness.suite import Suite
from tests.load.measure import HEADER, Figures, figures, row
from tests.load.world import World

USERS = 200
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Scenario:
    """How the questions come."""

    name: str
    model_latency: float
    ask: Callable[[World], Coroutine[Any, Any, None]]


def at_rate(per_second: float, seconds: float) -> Callable[[World], Coroutine[Any, Any, None]]:
    """Questions one after the other, round the users."""

    async def ask(world: World) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, begin + number / per_second - loop.time()))
            world.ask(number % USERS)

    return ask


def at_once(count: int) -> Callable[[World], Coroutine[Any, Any, None]]:
    """All questions in the same moment, round the users."""

    async def ask(world: World) -> None:
        for number in range(count):
            world.ask(number % USERS)

    return ask


def scenarios(*, quick: bool) -> list[Scenario]:
    """The four of the module's docstring; shorter ones for a quick look."""
    seconds = 4 if quick else 15
    return [
        Scenario("light", 0.0, at_rate(20, seconds)),
        Scenario("steady", 1.0, at_rate(50, seconds)),
        Scenario("burst-200", 1.0, at_once(200)),
        Scenario("burst-1000", 0.0, at_once(1000)),
    ]


Cpu = Callable[[], dict[str, float]]


async def run(who: str, world: World, scenario: Scenario, cpu: Cpu, memory: Cpu) -> Figures:
    """One scenario against whoever polls the world."""
    world.reset(model_latency=scenario.model_latency)
    before = cpu()
    await scenario.ask(world)
    await world.all_answered(within=60)
    await asyncio.sleep(0.3)  # let the last acknowledgements be counted
    after = cpu()
    result = figures(who, scenario.name, world)
    result.cpu_ms = {name: (after[name] - before[name]) * 1000 / max(1, result.asked) for name in after}
    result.memory_mb = memory()
    return result


async def warm_up(world: World) -> None:
    """Every user writes twice, so that connections and caches are as in daily life.

    The first time all of them are made, and each new user makes all readers look again.
    """
    for _ in range(2):
        world.reset(model_latency=0.0)
        await at_once(USERS)(world)
        if not await world.all_answered(within=60):
            sys.exit("the warm-up was not answered")


async def measure_suite(world: World, plan: list[Scenario]) -> list[Figures]:
    """All scenarios against the five services."""
    lifted = {"TELEGRAM_RATE_LIMIT": "0", "TELEGRAM_CHAT_RATE_LIMIT": "0", "TELEGRAM_OPEN_ACCESS": "true"}
    with throw_away_servers() as servers, tempfile.TemporaryDirectory() as folder:
        suite = Suite(Path(folder), servers.environment(), outside=world.url, extra=lifted)
        await asyncio.to_thread(suite.__enter__)
        try:
            others = server_processes(servers)
            await warm_up(world)
            return [
                await run(
                    "suite",
                    world,
                    scenario,
                    cpu=lambda: suite.cpu_seconds() | {n: _cpu(p) for n, p in others.items()},
                    memory=lambda: {n: m / 1e6 for n, m in suite.memory().items()},
                )
                for scenario in plan
            ]
        finally:
            await asyncio.to_thread(suite.__exit__)


async def measure_floor(world: World, plan: list[Scenario]) -> list[Figures]:
    """All scenarios against the floor."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.load.floor", world.url, cwd=ROOT
    )
    try:
        await warm_up(world)
        seen = psutil.Process(process.pid)
        return [
            await run(
                "floor",
                world,
                scenario,
                cpu=lambda: {"floor": _cpu([seen])},
                memory=lambda: {"floor": seen.memory_info().rss / 1e6},
            )
            for scenario in plan
        ]
    finally:
        process.terminate()
        await process.wait()


@contextmanager
def throw_away_servers() -> Iterator[ThrowAwayServers]:
    """Own PostgreSQL and Valkey."""
    with ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers:
        yield servers


def server_processes(servers: ThrowAwayServers) -> dict[str, list[psutil.Process]]:
    """PostgreSQL (with its backends) and Valkey."""
    postgres, valkey = (psutil.Process(process.pid) for process in servers.processes)
    return {"postgres": [postgres, *postgres.children()], "redis": [valkey]}


def _cpu(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        if process.is_running():
            times = process.cpu_times()
            total += times.user + times.system
    return total


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter light and steady phases")
    parser.add_argument("--only", choices=["suite", "floor"])
    options = parser.parse_args()
    plan = scenarios(quick=options.quick)
    print(HEADER)
    for who, measure in (("floor", measure_floor), ("suite", measure_suite)):
        if options.only in (None, who):
            world = World()
            await world.start()
            for one in await measure(world, plan):
                print(row(one), flush=True)
            await world.stop()


if __name__ == "__main__":
    uvloop.run(main())
