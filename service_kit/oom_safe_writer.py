"""Writes that Redis accepts at its memory limit too (`maxmemory` with noeviction).

At the limit Redis refuses new work: the enqueue script has no `allow-oom` flag. It accepts the writes that
finish, acknowledge or record accepted work. That work bounds them, and they end in free memory. Refusing
them would make the work be done again.
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


class OomSafeWriter:
    """Runs write commands in one step."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._run: AsyncScript = redis.register_script(_RUN)

    async def write(self, *commands: tuple[Word, ...]) -> list[Any]:
        """What each command answers.

        Raises:
            RedisError: Redis is away, or refuses for another reason than its memory.
        """
        return list(await self._run(args=[word for command in commands for word in (len(command), *command)]))
