"""How much of a conversation stays, and how much of it the model sees; whole turns only.

Between two cuts the window only grows at its end, so that the provider's prompt cache holds.
"""

from collections.abc import Sequence

from .turns import Turn

KEPT_AFTER_CUT = 0.6
"""Share of the budget that is left when the window has been cut."""
MAX_TURNS = 400
"""However short they are."""


def newest_within(turns: Sequence[Turn], tokens: float) -> tuple[Turn, ...]:
    """The newest turns of at most `tokens` together; none where the newest alone is larger."""
    kept = 0
    for turn in reversed(turns):
        tokens -= turn.tokens
        if tokens < 0:
            break
        kept += 1
    return tuple(turns[len(turns) - kept :])


def turns_to_keep(turns: Sequence[Turn], budget: int) -> int | None:
    """How many of the newest turns stay (the newest always does); None: nothing is cut."""
    if sum(turn.tokens for turn in turns) <= budget and len(turns) <= MAX_TURNS:
        return None
    kept = newest_within(turns[-MAX_TURNS:], budget * KEPT_AFTER_CUT)
    return max(1, len(kept))
