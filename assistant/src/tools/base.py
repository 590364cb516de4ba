"""What a tool is.

A tool object is shared by all users: whatever belongs to one message comes in the `RunContext`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import jsonschema
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from service_kit.logging import get_logger

from ..core.errors import BrokenRowError, InvalidInputError, ToolError, ToolExecutionError
from ..core.model import JsonSchema, ToolSpec
from ..core.run_context import RunContext
from ..utils.text import shorten
from .bounded_schema import StepBudget
from .nulls import without_nulls
from .receipts import format_done

log = get_logger(__name__)

__all__ = ["Arguments", "BaseTool", "InvalidInputError", "ToolError", "ToolExecutionError"]

Arguments = Mapping[str, Any]
"""A call's arguments: a JSON object that has passed the tool's schema."""

LONGEST_DESCRIPTION = 1024
"""Characters; OpenAI refuses whatever shows a tool with a longer one (400 `string_above_max_length`)."""
NO_REFERENCES: Registry[Any] = Registry()
"""Resolves nothing: by default jsonschema would fetch a `$ref` from the network."""


class BaseTool(ABC):
    """Something a model may call.

    A description above LONGEST_DESCRIPTION is cut. `timeout` is in seconds; None means as long as the run
    may take. `has_effect` is for tools that change something outside: hand `context.key` to the far end,
    so that a call that is repeated after a crash changes it once, and say in `receipt` what was changed.

    Raises:
        BrokenRowError: the schema is not a JSON Schema, or does not describe an object.
    """

    has_effect: ClassVar[bool] = False

    def __init__(
        self, *, name: str, description: str, schema: JsonSchema, timeout: float | None = None
    ) -> None:
        self.name = name
        self.description = shorten(description, LONGEST_DESCRIPTION, "…")
        self.schema = schema
        self.timeout = timeout
        self._budget = StepBudget()
        self._validator = _validator(name, schema, self._budget)
        if self.description != description:
            log.warning("tool_description_cut", tool=name, characters=len(description))

    @property
    def spec(self) -> ToolSpec:
        """What the model is told."""
        return ToolSpec(self.name, self.description, self.schema)

    def check(self, arguments: object) -> Arguments:
        """The arguments, when they fit the schema; without nulls that mean "not given".

        Raises:
            InvalidInputError: they do not; the text says where and why.
        """
        if not isinstance(arguments, dict):
            msg = f"the arguments must be one JSON object, not {type(arguments).__name__}"
            raise InvalidInputError(msg)
        self._budget.refill()
        try:
            given: dict[str, Any] = without_nulls(arguments, self.schema)
            problems = [_problem(error) for error in self._validator.iter_errors(given)]
        except (Unresolvable, AttributeError, TypeError) as exc:
            # jsonschema takes whatever a reference leads to for a schema
            msg = "the tool's schema refers to something that is not there or no schema; it cannot be used"
            raise ToolExecutionError(msg) from exc
        except OverflowError as exc:
            msg = "a number in the arguments is too large"
            raise InvalidInputError(msg) from exc
        except RecursionError as exc:
            msg = "the arguments nest too deeply"
            raise InvalidInputError(msg) from exc
        if problems:
            raise InvalidInputError("; ".join(problems[:5]))
        return given

    def receipt(
        self,
        arguments: Arguments,  # noqa: ARG002 - for tools that say more
        result: str,  # noqa: ARG002
        context: RunContext,
    ) -> str:
        """What the user is told of a call that returned `result`, where the model does not tell it.

        A sentence in the user's language; empty for a call that changed nothing.
        """
        return format_done(self.name, context.user.language) if self.has_effect else ""

    @abstractmethod
    async def execute(self, arguments: Arguments, context: RunContext) -> str:
        """The result, as text for the model.

        Raises:
            InvalidInputError: other arguments would help; the text says which.
            ToolExecutionError: it could not be done.
        """


def _validator(name: str, schema: JsonSchema, budget: StepBudget) -> Validator:
    if schema.get("type") != "object":
        msg = f"tool {name!r}: the schema's top level must be of type object"
        raise BrokenRowError(msg)
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as exc:
        msg = f"tool {name!r}: not a JSON schema: {exc.message}"
        raise BrokenRowError(msg) from exc
    return budget.limit(kind)(dict(schema), registry=NO_REFERENCES)


def _problem(error: jsonschema.ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    text = error.message if len(error.message) <= 300 else error.message[:300] + "…"
    return f"{place}: {text}" if place else text
