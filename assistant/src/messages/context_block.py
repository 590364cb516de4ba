"""What the model must know of now, put before the newest message.

Not into the instructions: they come first in every request, and a prompt that changes at its start
is never served from the provider's cache. The block stays in the stored turn, so that this turn is
byte for byte the same in all later requests.
"""

from ..core.run_context import RunContext
from ..tools.moments import offset_text
from ..utils.text import one_line


def with_context(message: str, context: RunContext) -> str:
    """`message` below a block with time, zone, name and language."""
    user = context.user
    now = context.local_now()
    zone = f"{user.timezone.key} (UTC{offset_text(now)})"
    lines = [
        f"now: {now:%Y-%m-%d %H:%M}, {now:%A}",
        f"timezone: {zone}" if user.timezone_known else "timezone: UTC (the user has not told theirs yet)",
    ]
    if user.name and (name := one_line(user.name, 64)):
        lines.append(f"user: {name}")
    if user.language:
        lines.append(f"language: {one_line(user.language, 16)}")
    block = "\n".join(lines)
    return f"<context>\n{block}\n</context>\n\n{message}"
