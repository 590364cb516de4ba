"""JSON Schema with a bound on the work: a schema can ask for exponential amounts of it.

Definitions that use each other twice double the work with each level; rest_service refuses those that do so
on their own, this bounds those that need nested arguments, too.
"""

from collections.abc import Callable, Iterator
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import extend

from ..core.errors import InvalidInputError

MAX_STEPS = 20_000
"""Keywords applied for one call's arguments: about 0.2 s of the event loop. An ordinary call takes 100."""

Keyword = Callable[..., Iterator[Any] | None]


class StepBudget:
    """What is left of the work for one call."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def refill(self) -> None:
        """Start the budget of a new call."""
        self._left = MAX_STEPS

    def limit(self, kind: type[Validator]) -> type[Validator]:
        """A validator like `kind` that raises InvalidInputError when the budget is used up."""
        counted = {name: self._count_steps(keyword) for name, keyword in kind.VALIDATORS.items()}
        bounded: type[Validator] = extend(kind, counted)  # type: ignore[no-untyped-call]  # has no annotations
        return bounded

    def _count_steps(self, keyword: Keyword) -> Keyword:
        def apply(*args: Any) -> Iterator[Any] | None:  # noqa: ANN401 - jsonschema's signature
            self._left -= 1
            if self._left < 0:
                raise InvalidInputError("the arguments are too complex to be checked; send simpler ones")
            return keyword(*args)

        return apply
