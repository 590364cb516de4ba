"""How much of a model server's answer is read, for every protocol: a server may be broken or hostile.

Bytes are counted after decompression. What lies beyond is no answer (`AnswerTooLargeError`): it is not asked
for again, for the server would send as much again.
"""

import asyncio

import httpx2

from ..errors import AnswerTooLargeError

BODY = 4 * 2**20
"""Bytes of a whole answer, and of one event of a stream: twice what 128k tokens of Cyrillic escapes need."""
STREAM = 64 * 2**20
"""Bytes of a stream: each token comes in an event of its own, with some 300 bytes around it."""
EVENTS = 250_000
"""Events of a stream."""
TEXT = 2**20
"""Characters of one answer's text, of its calls' arguments, or of what goes back to the provider."""
ITEMS = 1000
"""Objects in one list of an answer, of whatever kind: they are counted before they are read."""
CALLS = 128
"""Calls of tools in one answer."""
ERROR = 2**16
"""Bytes of an error's body; what follows is cut, for the status counts and the reason stands in front."""
CHUNK = 2**14
"""Bytes of a stream that are read before other tasks of the loop get their turn."""
EVENTS_A_TURN = 32
"""Events of a stream that are read before other tasks of the loop get their turn."""


def check_size(size: int, limit: int, what: str) -> None:
    """Raise AnswerTooLargeError where `size` is above `limit`; `what` names the unit, such as `bytes`."""
    if size > limit:
        msg = f"the answer has more than {limit} {what}"
        raise AnswerTooLargeError(msg)


async def read_body(response: httpx2.Response) -> bytes:
    """The body, decompressed.

    Raises:
        AnswerTooLargeError: it is too long; that of an error is cut instead.
    """
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if not response.is_success and len(body) >= ERROR:
            return bytes(body[:ERROR])
        check_size(len(body), BODY, "bytes")
        await asyncio.sleep(0)  # chunks that are there already are given without a pause
    return bytes(body)
