"""How much of a conversation stays, and how much of it the model sees; whole turns only.

All sizes are estimated tokens. Turns stay until they exceed the budget; then the oldest are folded into
a summary, down to KEPT_AFTER_CUT of it. So between two folds the window only grows at its end, and the
provider's prompt cache holds. While no model can be had for the summary, nothing is lost up to HARD_LIMIT
budgets; beyond it the oldest turns go without one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import ContextOverflowError

KEPT_AFTER_CUT = 0.6
"""Share of the budget that is left after a fold."""
HARD_LIMIT = 2
"""Budgets."""
MAX_TURNS = 400
"""However short they are; HARD_LIMIT times as many without a summary."""
WORTH_FOLDING = 256
"""Smaller budgets are not folded: it would cost a summary with every message, and there is no room for it."""
MARGIN = 0.1
"""Share of a model's window left free, for sizes are estimated."""
ANSWER_TOKENS = 4096
"""Kept free for an answer of no set length, but not more than a quarter of the window."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an assistant may send along.

    `history` are the turns that stay before the oldest are folded. `ceiling` is the longest message that
    the model can take at all, `room` what there is for message and history together; None: not known,
    the provider will tell.
    """

    history: int
    room: int | None = None
    ceiling: int | None = None

    def check(self, message: int) -> None:
        """Raises ContextOverflowError for a message that is too long even alone."""
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
    ceiling = window - fixed - (output or min(ANSWER_TOKENS, window // 4))
    room = max(0, ceiling - int(window * MARGIN))
    return Budget(max(1, min(history, room)), room, max(0, ceiling))


def count_within(sizes: Sequence[int], tokens: float) -> int:
    """How many of the last `sizes` are at most `tokens` together; 0 where the last alone is larger."""
    count = 0
    for size in reversed(sizes):
        tokens -= size
        if tokens < 0:
            break
        count += 1
    return count


def is_due(sizes: Sequence[int], budget: int) -> bool:
    """Whether the oldest of these turns are to be folded."""
    return len(sizes) > MAX_TURNS or sum(sizes) > budget


def kept_by_fold(sizes: Sequence[int], budget: int) -> int:
    """How many of the newest turns a fold leaves; the newest always stays."""
    return max(1, count_within(sizes[-MAX_TURNS:], budget * KEPT_AFTER_CUT))


def kept_by_force(sizes: Sequence[int], budget: int) -> int | None:
    """How many stay when folding did not keep up; None: all of them."""
    if len(sizes) <= MAX_TURNS * HARD_LIMIT and sum(sizes) <= budget * HARD_LIMIT:
        return None
    return max(1, count_within(sizes[-MAX_TURNS:], budget))
