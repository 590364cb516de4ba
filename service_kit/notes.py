"""Writes that Redis takes at its memory limit too (`maxmemory` with noeviction).

New work is refused at the door then: the script that enqueues is not let in. Whatever works off, acknowledges
or notes what was accepted before is let in, for it is bounded by that work, and ends in memory set free.
A refusal would make the work be done again.
"""

from typing import Any

import redis.asyncio as aioredis
from redis.commands.core import AsyncScript

_RUN = """#!lua flags=allow-oom
-- Runs commands one after another, in one step. ARGV: of each its number of words, then its words.
local answers, place = {}, 1
while place <= #ARGV do
  local words = tonumber(ARGV[place])
  answers[#answers + 1] = redis.call(unpack(ARGV, place + 1, place + words))
  place = place + 1 + words
end
return answers
"""

Word = str | bytes | int


class Notes:
    """Runs write commands in one step."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._run: AsyncScript = redis.register_script(_RUN)

    async def write(self, *commands: tuple[Word, ...]) -> list[Any]:
        """What each command answers.

        Raises:
            RedisError: Redis is away, or refuses for another reason than its memory.
        """
        return list(await self._run(args=[word for command in commands for word in (len(command), *command)]))
