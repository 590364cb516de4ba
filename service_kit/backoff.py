"""Exponential backoff for everything that tries again."""

import random


class Backoff:
    """Seconds to wait before the next try: `first`, doubled with each failure, `longest` at most.

    A loop calls `next_delay` after a failure and `reset` after a success. It waits itself: most loops
    also wake at a stop event, which retry libraries do not offer.
    """

    def __init__(self, first: float, longest: float, *, jitter: float = 0.0) -> None:
        self.failures = 0
        """How many since the last success."""
        self._first = first
        self._longest = longest
        self._jitter = jitter

    def delay_after(self, failures: int) -> float:
        """The delay after `failures` earlier failures.

        A random share of it, up to `jitter`, is taken off, so that replicas do not try again in step.
        """
        # a float ends at 2^1024; the bound is far above every `longest`
        delay = min(self._longest, self._first * 2.0 ** min(failures, 64))
        return delay * random.uniform(1 - self._jitter, 1)  # noqa: S311 - not a secret

    def next_delay(self) -> float:
        """Count a failure and return the delay that follows it."""
        self.failures += 1
        return self.delay_after(self.failures - 1)

    def reset(self) -> None:
        """Start again from `first`: it worked."""
        self.failures = 0
