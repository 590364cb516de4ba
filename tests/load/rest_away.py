"""rest_service away under load: who has written before is answered all the while.

    python -m tests.load.rest_away [--seconds 60] [--rate 20] [--around 10] [--replicas 1] [--graceful]

Known users write evenly, `--rate` messages a second; after `--around` seconds rest_service is killed (-9),
`--seconds` later it is started again, and the load goes on for `--around` seconds. Printed for each phase:
what was asked and answered, a second, and the time from message to reply; then a line of answers a second.
Exit code 1 where a message was lost, answered twice or with anything but the model's answer, or where the
answers stop for three seconds. All traffic stays on 127.0.0.1.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field

import uvloop

from tests.harness.suite import Suite
from tests.load.stage import staged
from tests.load.world import World

USERS = 60
QUIET = 3.0
"""Seconds without any answer that are too many."""


@dataclass(frozen=True)
class Plan:
    """How long, and how much."""

    seconds: float = 60.0
    rate: float = 20.0
    around: float = 10.0
    replicas: int = 1
    graceful: bool = False
    model_latency: float = 0.3


@dataclass
class Seen:
    """What Telegram saw. Times are `time.monotonic()`; `edges` are begin, kill, return and end."""

    edges: list[float] = field(default_factory=list)
    asked: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    doubled: int = 0
    other_texts: list[str] = field(default_factory=list)
    """What was sent but is not the model's answer: failures told to users."""

    @property
    def lost(self) -> int:
        """Questions without an answer."""
        return len(self.asked) - len(self.answered)

    @property
    def longest_silence(self) -> float:
        """Seconds between two answers, at most."""
        at = sorted(self.answered.values())
        return max((later - earlier for earlier, later in itertools.pairwise(at)), default=0.0)

    def phase(self, name: str, begin: float, end: float) -> str:
        """The figures of the questions asked in this time."""
        asked = [number for number, at in self.asked.items() if begin <= at < end]
        took = sorted(self.answered[n] - self.asked[n] for n in asked if n in self.answered)
        in_time = sum(begin <= at < end for at in self.answered.values())
        if not took:
            return f"{name:<8} nothing was answered"
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        return (
            f"{name:<8} {end - begin:5.1f} s  asked {len(asked):5}  answered {len(took):5}  "
            f"{in_time / (end - begin):5.1f}/s  p50 {statistics.median(took):.3f} s  p99 {p99:.3f} s"
        )

    def by_second(self) -> str:
        """Answers in each second since the begin; `|` where rest_service went and came."""
        counts = Counter(int(at - self.edges[0]) for at in self.answered.values())
        marks = {int(edge - self.edges[0]) for edge in self.edges[1:3]}
        return " ".join(
            ("| " if second in marks else "") + str(counts[second]) for second in range(max(counts) + 1)
        )


async def served_without_rest(plan: Plan) -> Seen:
    """Run the plan on servers and processes of its own."""
    world = World()
    async with staged(world, replicas=plan.replicas) as suite:
        await _introduce(world)
        return await _under_load(suite, world, plan)


async def _introduce(world: World) -> None:
    """Every user writes often enough that each process knows him, whoever serves him."""
    for _ in range(5):
        world.reset(model_latency=0.0)
        for user in range(USERS):
            world.ask(user)
        if not await world.all_answered(within=60):
            raise RuntimeError("the introduction was not answered")


async def _under_load(suite: Suite, world: World, plan: Plan) -> Seen:
    world.reset(model_latency=plan.model_latency)
    loop = asyncio.get_running_loop()
    seen = Seen(edges=[loop.time()])
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_ask_evenly(world, plan.rate))
        await asyncio.sleep(plan.around)
        if plan.graceful:
            await asyncio.to_thread(suite.stop, "rest_service")
        else:
            suite.kill("rest_service", again=False)
        seen.edges.append(loop.time())
        await asyncio.sleep(plan.seconds)
        await asyncio.to_thread(suite.start, "rest_service")
        seen.edges.append(loop.time())
        await asyncio.sleep(plan.around)
        asking.cancel()
    seen.edges.append(loop.time())
    await world.all_answered(within=60)
    await asyncio.sleep(1)  # a second answer would come now
    seen.asked, seen.answered = dict(world.asked), dict(world.first_answer)
    seen.doubled = sum(times - 1 for times in world.times_answered.values())
    seen.other_texts = [a.text for a in world.answers if not (a.text[:1] == "a" and a.text[1:].isdigit())]
    return seen


async def _ask_evenly(world: World, rate: float) -> None:
    loop = asyncio.get_running_loop()
    begin, number = loop.time(), 0
    while True:
        await asyncio.sleep(max(0.0, begin + number / rate - loop.time()))
        world.ask(number % USERS)
        number += 1


async def main() -> None:
    """Run as the command line says and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="without rest_service")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="messages a second")
    parser.add_argument("--around", type=float, default=Plan.around, help="seconds before and after")
    parser.add_argument("--replicas", type=int, default=Plan.replicas)
    parser.add_argument("--graceful", action="store_true", help="SIGTERM instead of SIGKILL")
    seen = await served_without_rest(Plan(**vars(parser.parse_args())))
    for name, begin, end in zip(("before", "away", "after"), seen.edges, seen.edges[1:], strict=False):
        print(seen.phase(name, begin, end))
    print(f"answers by second: {seen.by_second()}")
    print(
        f"asked {len(seen.asked)}, lost {seen.lost}, twice {seen.doubled}, "
        f"told of a failure {len(seen.other_texts)} {seen.other_texts[:1] or ''}, "
        f"longest silence {seen.longest_silence:.2f} s"
    )
    kept = not (seen.lost or seen.doubled or seen.other_texts) and seen.longest_silence < QUIET
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    uvloop.run(main())
