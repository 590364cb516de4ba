"""Whatever a schema asks for, checking a call's arguments ends soon."""

from typing import Any

import pytest

from assistant.src.core.errors import InvalidInputError, ToolExecutionError
from assistant.src.tools import bounded_schema
from assistant.src.tools.time_tool import TimeTool

DOUBLING: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"$ref": "#/$defs/n"}},
    "$defs": {
        "n": {
            "anyOf": [
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"]},
                {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "required": ["a"]},
            ]
        }
    },
}


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("dialect", [None, "http://json-schema.org/draft-07/schema#"])
def test_a_schema_that_doubles_with_the_arguments_depth_is_given_up(dialect):
    schema = DOUBLING if dialect is None else {"$schema": dialect, **DOUBLING}
    tool = TimeTool(schema=schema)
    with pytest.raises(InvalidInputError, match="too complex"):
        tool.check(nested(18))  # a million steps and more, minutes


@pytest.mark.parametrize("number", [10**400, float("inf")])
def test_a_number_beyond_all_others_is_refused(number):
    tool = TimeTool(schema={"type": "object", "properties": {"a": {"multipleOf": 0.5}}})
    with pytest.raises(InvalidInputError, match="too large"):
        tool.check({"a": number})


@pytest.mark.parametrize("reference", ["#/required/0", "#/$defs/gone", "#gone"])
def test_a_reference_to_no_schema_costs_the_call_alone(reference):
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}, "required": ["a"]}
    with pytest.raises((ToolExecutionError, InvalidInputError)):
        TimeTool(schema=schema).check({"a": {}})


def test_each_call_has_a_budget_of_its_own(monkeypatch):
    monkeypatch.setattr(bounded_schema, "MAX_STEPS", 30)
    tool = TimeTool()
    for _ in range(20):
        assert tool.check({"timezone": "Asia/Tokyo"}) == {"timezone": "Asia/Tokyo"}
