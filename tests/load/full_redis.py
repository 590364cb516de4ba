"""Redis at its memory limit under load: nothing lost, nothing twice, order kept, no model asked twice.

    python -m tests.load.full_redis [--replicas 3] [--times 5] [--rate 50] [--seconds 40]

200 users write 50 messages a second, the model asks for the time first and takes 0.6 s in all; five times
Redis may use no more memory, for half of the time. What comes then waits at Telegram; what was accepted
before is answered, noted and counted meanwhile. The model must be asked twice for each message, once before
the tool and once after it, and not more often: an answer in hand is not asked for again.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import redis.asyncio as aioredis
import uvloop

from tests.load.bench import USERS, at_rate, warm_up
from tests.load.measure import Figures, figures
from tests.load.stage import staged
from tests.load.world import World

CALLS = 2
"""Of the model for one message: one that asks for a tool, and one with its result."""


@dataclass(frozen=True)
class Plan:
    """How much of what."""

    replicas: int = 1
    times: int = 5
    rate: float = 50.0
    seconds: float = 40.0
    model_latency: float = 0.6


@dataclass(frozen=True)
class Outcome:
    """What Telegram saw, and what the model was asked."""

    seen: Figures
    answered_while_full: int
    most_calls: int
    """For one message."""
    calls_a_message: float

    @property
    def kept(self) -> bool:
        """Whether the promise was."""
        seen = self.seen
        return (
            seen.answered == seen.asked
            and not seen.doubled
            and not seen.out_of_order
            and self.most_calls == CALLS
        )


async def filled_under_load(plan: Plan) -> Outcome:
    """Run the plan on servers and processes of its own."""
    world = World(tool_round=True)
    async with staged(world, replicas=plan.replicas) as suite:
        await warm_up(world)
        world.reset(model_latency=plan.model_latency)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(at_rate(plan.rate, plan.seconds)(world))
            filling = tasks.create_task(_fill_and_free(suite.servers["TEST_REDIS_URL"], world, plan))
        await world.all_answered(within=120)
        await asyncio.sleep(2)  # a second answer would come now
        return Outcome(
            figures("suite", f"full x{plan.replicas}", world),
            filling.result(),
            max(world.calls_for.values()),
            world.calls_for.total() / len(world.asked),
        )


async def _fill_and_free(url: str, world: World, plan: Plan) -> int:
    """Again and again no memory is left, for half of the time; how many answers came meanwhile."""
    answered = 0
    each = plan.seconds / plan.times / 2
    async with aioredis.Redis.from_url(url) as redis:
        for _ in range(plan.times):
            await asyncio.sleep(each)
            before = len(world.first_answer)
            await redis.config_set("maxmemory", 1)
            await asyncio.sleep(each)
            answered += len(world.first_answer) - before
            await redis.config_set("maxmemory", 0)
    return answered


async def main() -> None:
    """Run as the command line says and print the figures; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--times", type=int, default=5, help="how often Redis is full")
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=40)
    options = parser.parse_args()
    plan = Plan(options.replicas, options.times, options.rate, options.seconds)
    outcome = await filled_under_load(plan)
    seen = outcome.seen
    print(
        f"{plan.replicas} assistant(s), Redis full {plan.times} times, {USERS} users: asked {seen.asked}, "
        f"lost {seen.asked - seen.answered}, sent twice {seen.doubled}, out of order {seen.out_of_order}; "
        f"answered while it was full {outcome.answered_while_full}; calls of the model a message "
        f"{outcome.calls_a_message:.3f}, at most {outcome.most_calls} (needed: {CALLS})"
    )
    sys.exit(0 if outcome.kept else 1)


if __name__ == "__main__":
    uvloop.run(main())
