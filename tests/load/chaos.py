"""A model server that fails by chance: everybody is answered within the time of a message.

    python -m tests.load.chaos [--users 30] [--rounds 2] [--replicas 1] [--seed 1]
                               [--busy 0.25] [--away 0.15] [--cut 0.1] [--truncated 0.1] [--wait 1]
                               [--model URL]

All users write in the same moment, `--rounds` times, the next time when all are answered. Of the calls of
the model a share `--busy` gets 429 with `Retry-After: <wait>`, `--away` 503, `--cut` a stream whose
connection is closed in the middle, `--truncated` one that ends properly, but without its last event. Printed:
what was asked, answered by the model within the message's time, apologies, the slowest answer; and the calls
that came during a `Retry-After`, not counting those of the first GRACE seconds, which were under way when it
was told. Exit code 1 where a message was not answered by the model in time, or a call came during a
`Retry-After`.

`--model` names another server to ask, such as a chaos server from a package registry with shares of its own;
the calls are not seen then. All traffic stays on 127.0.0.1.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import uvloop
from aiohttp import web

from tests.load.stage import staged
from tests.load.world import FIRST_CHAT, World

MESSAGE_TIME = 90.0
"""The default of MESSAGE_TIMEOUT."""
SLACK = 3.0
"""Seconds for the two queues and Telegram."""
GRACE = 0.25
"""Seconds after a 429 was sent in which calls of a busy machine were under way already."""


@dataclass(frozen=True)
class Plan:
    """Who writes how often; the shares of calls that fail, by kind."""

    users: int = 30
    rounds: int = 2
    replicas: int = 1
    seed: int = 1
    busy: float = 0.25
    away: float = 0.15
    cut: float = 0.1
    truncated: float = 0.1
    wait: float = 1.0
    model: str | None = None


@dataclass
class ChaosWorld(World):
    """The model's calls fail by chance."""

    plan: Plan = field(default_factory=Plan)
    faults: Counter[str] = field(default_factory=Counter)
    early: int = 0
    """Calls during a Retry-After."""
    _quiet: tuple[float, float] = (0.0, 0.0)
    """From when until when nobody may call."""

    def __post_init__(self) -> None:
        self._dice = random.Random(self.plan.seed)

    def _fault(self) -> str:
        plan = self.plan
        kinds = {"busy": plan.busy, "away": plan.away, "cut": plan.cut, "truncated": plan.truncated}
        roll = self._dice.random()
        for kind, share in kinds.items():
            if roll < share:
                return kind
            roll -= share
        return "none"

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        now = time.monotonic()
        begin, end = self._quiet
        self.early += begin + GRACE < now < end
        fault = self._fault()
        self.faults[fault] += 1
        if fault == "busy":
            self._quiet = (now if now > end else begin, now + self.plan.wait)
            return _refused(429, {"Retry-After": f"{self.plan.wait:g}"})
        if fault == "away":
            return _refused(503, {})
        answer = await super()._complete(request)
        assert isinstance(answer, web.Response)
        text = json.loads(answer.text or "")["choices"][0]["message"]["content"]
        return await _streamed(request, text, fault)


def _refused(status: int, headers: dict[str, str]) -> web.Response:
    error = {"message": "try again later", "type": "server_error", "code": None}
    return web.json_response({"error": error}, status=status, headers=headers)


async def _streamed(request: web.Request, text: str, fault: str) -> web.StreamResponse:
    """The text as events, as far as the fault lets it come."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for letter in text:
        await _event(response, {"choices": [{"index": 0, "delta": {"content": letter}}]})
    if fault == "cut" and request.transport is not None:
        request.transport.abort()
        return response
    if fault == "none":
        await _event(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _event(response: web.StreamResponse, data: object) -> None:
    await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")


@dataclass
class Seen:
    """What Telegram saw; the n-th answer in a chat belongs to its n-th question, for the order is kept."""

    asked: int = 0
    took: list[float] = field(default_factory=list)
    apologies: list[str] = field(default_factory=list)

    @property
    def in_time(self) -> int:
        """Answers of the model within the message's time."""
        return sum(seconds <= MESSAGE_TIME + SLACK for seconds in self.took)


async def asked_of_chaos(plan: Plan, world: ChaosWorld) -> Seen:
    """Run the plan on servers and processes of its own."""
    settings = {"STREAM_REPLIES": "true"} | ({"OPENAI_BASE_URL": plan.model} if plan.model else {})
    seen = Seen()
    async with staged(world, replicas=plan.replicas, settings=settings):
        for number in range(plan.rounds):
            begin, before = time.monotonic(), len(world.answers)
            for user in range(plan.users):
                world.ask(user)
            seen.asked += plan.users
            while len(world.answers) < before + plan.users:
                if time.monotonic() - begin > MESSAGE_TIME + 2 * SLACK:
                    break
                await asyncio.sleep(0.05)
            for answer in world.answers[before:]:
                if "(Incident " in answer.text:
                    seen.apologies.append(answer.text)
                else:
                    seen.took.append(answer.at - begin)
            chats = {answer.chat for answer in world.answers[before:]}
            silent = {FIRST_CHAT + user for user in range(plan.users)} - chats
            print(f"round {number + 1}: {len(chats)} of {plan.users} users heard something", end="")
            print(f", {len(silent)} nothing" if silent else "")
    return seen


async def main() -> None:
    """Run as the command line says and print the figures; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = Plan()
    for name in ("users", "rounds", "replicas", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    for name in ("busy", "away", "cut", "truncated", "wait"):
        parser.add_argument(f"--{name}", type=float, default=getattr(defaults, name))
    parser.add_argument("--model", help="base URL of another model server, up to and including /v1")
    plan = Plan(**vars(parser.parse_args()))
    world = ChaosWorld(plan=plan)
    seen = await asked_of_chaos(plan, world)
    slowest = f"{max(seen.took):.1f} s" if seen.took else "none"
    print(
        f"asked {seen.asked}, answered within {MESSAGE_TIME:.0f} s {seen.in_time}, "
        f"apologies {len(seen.apologies)}, slowest {slowest}"
    )
    if not plan.model:
        shares = ", ".join(f"{kind} {count}" for kind, count in sorted(world.faults.items()))
        print(f"calls of the model {world.faults.total()}: {shares}; during a Retry-After {world.early}")
    for text in sorted(set(seen.apologies)):
        print(f"  {text}")
    sys.exit(0 if seen.in_time == seen.asked and world.early == 0 else 1)


if __name__ == "__main__":
    uvloop.run(main())
