"""How much of a conversation stays, and how much of it the model sees; whole turns only.

All sizes are estimated tokens. Turns stay until they exceed the budget; then compaction
summarizes the oldest, down to SHARE_AFTER_COMPACTION of it. Between two compactions the window only grows at
its end, and the provider's prompt cache holds. While no model writes the summary, nothing is lost up to
HARD_LIMIT budgets; beyond it the oldest turns go without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import ContextOverflowError

SHARE_AFTER_COMPACTION = 0.6
"""Share of the budget that is left after a compaction."""
HARD_LIMIT = 2
"""Budgets."""
MAX_TURNS = 400
"""However short they are; HARD_LIMIT times as many without a summary."""
MIN_BUDGET = 256
"""Tokens. A smaller budget has no room for a summary, and would need a new one with every message."""
MARGIN = 0.1
"""Share of a model's window left free, for sizes are estimated."""
ANSWER_TOKENS = 4096
"""Kept free for an answer of no set length, but not more than a quarter of the window."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an assistant may send along.

    `history` are the turns that stay before the oldest are compacted. `ceiling` is the longest message that
    the model can take at all, `room` what there is for message and history together; None: not known,
    the provider will tell.
    """

    history: int
    room: int | None = None
    ceiling: int | None = None

    def check(self, message: int) -> None:
        """Raise ContextOverflowError for a message that is too long even without history."""
        if self.ceiling is not None and message > self.ceiling:
            msg = f"a message of about {message} tokens; the model takes {self.ceiling}"
            raise ContextOverflowError(msg)

    def for_history(self, run: int) -> int:
        """Tokens for history beside a run whose messages so far have this size."""
        most = self.history * HARD_LIMIT
        return most if self.room is None else max(0, min(most, self.room - run))


def budget_of(history: int, *, window: int | None, fixed: int, output: int | None) -> Budget:
    """The budget of an assistant whose model has this `window`.

    `fixed` is what every request holds (instructions, tools), `output` the longest answer; `history` what
    rows and settings allow.
    """
    if window is None:
        return Budget(history)
    # a message up to the ceiling is sent alone; history needs the margin, for its size is estimated
    ceiling = window - fixed - (output or min(ANSWER_TOKENS, window // 4))
    room = max(0, ceiling - int(window * MARGIN))
    return Budget(max(1, min(history, room)), room, max(0, ceiling))


def count_within(sizes: Sequence[int], tokens: float) -> int:
    """How many of the last `sizes` are at most `tokens` together; 0 where the last alone is larger."""
    count = 0
    # from the newest backwards; the first that does not fit ends it, so that no turn in between is missing
    for size in reversed(sizes):
        tokens -= size
        if tokens < 0:
            break
        count += 1
    return count


def exceeds_budget(sizes: Sequence[int], budget: int) -> bool:
    """Whether the oldest of these turns are to be compacted."""
    return len(sizes) > MAX_TURNS or sum(sizes) > budget


def count_after_compaction(sizes: Sequence[int], budget: int) -> int:
    """How many of the newest turns a compaction leaves; the newest always stays."""
    return max(1, count_within(sizes[-MAX_TURNS:], budget * SHARE_AFTER_COMPACTION))


def count_after_forced_cut(sizes: Sequence[int], budget: int) -> int | None:
    """How many stay when compaction did not keep up; None: all of them."""
    if len(sizes) <= MAX_TURNS * HARD_LIMIT and sum(sizes) <= budget * HARD_LIMIT:
        return None
    return max(1, count_within(sizes[-MAX_TURNS:], budget))
