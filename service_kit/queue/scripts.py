"""The Lua scripts: one file each in `scripts/`, with `lib.lua` put in front."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import redis as sync_redis
import redis.asyncio as aioredis
from redis.exceptions import NoScriptError

Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class Script:
    """A script's whole text, and the name the server knows it by."""

    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script `scripts/<name>.lua`."""
    folder = resources.files("service_kit.queue") / "scripts"
    # the flags line must stay the first one
    flags, body = (folder / f"{name}.lua").read_text("utf-8").split("\n", 1)
    text = f"{flags}\n{(folder / 'lib.lua').read_text('utf-8')}\n{body}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


async def run(redis: aioredis.Redis, script: Script, queue: str, *args: Argument) -> Any:  # noqa: ANN401 - a reply
    """Run `script` on `queue`; a server that does not know it (it restarted) is given its text."""
    try:
        return await redis.evalsha(script.sha, 1, queue, *args)
    except NoScriptError:
        return await redis.eval(script.text, 1, queue, *args)


def run_sync(redis: sync_redis.Redis, script: Script, queue: str, *args: Argument) -> Any:  # noqa: ANN401 - a reply
    """`run` on a synchronous client."""
    try:
        return redis.evalsha(script.sha, 1, queue, *args)
    except NoScriptError:
        return redis.eval(script.text, 1, queue, *args)
