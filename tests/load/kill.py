"""`kill -9` under load: nothing lost, nothing twice, order kept.

    python -m tests.load.kill [--replicas 3] [--assistant 20] [--bot 10] [--rate 100] [--seconds 45]

200 users write 100 messages a second, the model takes 0.3 s; meanwhile assistant processes are killed
20 times and tg_bot 10 times, evenly spread; a supervisor starts them again. Then everything must be
answered. The one window that cannot be closed: tg_bot killed between Telegram's 200 and its own
acknowledgement sends the one part in flight again (the Bot API has no idempotency key).
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass

import uvloop

from tests.harness.suite import Suite
from tests.load.bench import USERS, at_rate, warm_up
from tests.load.measure import Figures, figures
from tests.load.stage import staged
from tests.load.world import World


@dataclass(frozen=True)
class Plan:
    """How much of what."""

    replicas: int = 1
    assistant_kills: int = 20
    bot_kills: int = 10
    rate: float = 100.0
    seconds: float = 45.0
    model_latency: float = 0.3


async def killed_under_load(plan: Plan) -> Figures:
    """Run the plan on servers and processes of its own; returns what Telegram saw."""
    world = World()
    async with staged(world, replicas=plan.replicas) as suite:
        await warm_up(world)
        world.reset(model_latency=plan.model_latency)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(at_rate(plan.rate, plan.seconds)(world))
            tasks.create_task(_kill_evenly(suite, plan))
        await world.all_answered(within=240)
        await asyncio.sleep(2)  # a second answer would come now
        return figures("suite", f"kill x{plan.replicas}", world)


async def _kill_evenly(suite: Suite, plan: Plan) -> None:
    assistants = [name for name in suite.processes if name.startswith("assistant")]
    moments = [
        ((n + 0.5) / plan.assistant_kills, assistants[n % len(assistants)])
        for n in range(plan.assistant_kills)
    ]
    moments += [((n + 0.7) / plan.bot_kills, "tg_bot") for n in range(plan.bot_kills)]
    begin = asyncio.get_running_loop().time()
    for share, name in sorted(moments):
        await asyncio.sleep(max(0.0, begin + share * plan.seconds - asyncio.get_running_loop().time()))
        suite.kill(name)


async def main() -> None:
    """Run as the command line says and print the figures; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--assistant", type=int, default=20, help="kills of assistant")
    parser.add_argument("--bot", type=int, default=10, help="kills of tg_bot")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=45)
    options = parser.parse_args()
    plan = Plan(options.replicas, options.assistant, options.bot, options.rate, options.seconds)
    seen = await killed_under_load(plan)
    print(
        f"{plan.replicas} assistant(s) killed {plan.assistant_kills} times, the bot {plan.bot_kills} times, "
        f"{USERS} users: asked {seen.asked}, lost {seen.asked - seen.answered}, "
        f"sent twice {seen.doubled} (allowed: {plan.bot_kills}), out of order {seen.out_of_order}; "
        f"added p50 {seen.p50:.0f} ms, p99 {seen.p99:.0f} ms"
    )
    kept = seen.answered == seen.asked and seen.doubled <= plan.bot_kills and not seen.out_of_order
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    uvloop.run(main())
