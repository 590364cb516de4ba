from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.errors import InvalidInputError
from assistant.src.tools.nulls import without_nulls
from assistant.tests.fakes import FunctionTool

INNER = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
    "required": [],
}


def schema_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": ["needed"], "$defs": {"inner": INNER}}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "string"}, False),
        ({"type": ["string", "null"]}, True),
        ({"enum": ["x", "y"]}, False),
        ({"enum": ["x", None]}, True),
        ({"const": "x"}, False),
        ({}, True),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"allOf": [{"type": "string"}]}, False),
        ({"$ref": "#/$defs/inner"}, False),
        (False, False),
        (True, True),
    ],
    ids=str,
)
def test_a_null_stays_only_where_the_schema_allows_it(schema, kept):
    value = without_nulls({"field": None}, schema_of(field=schema))
    assert ("field" in value) is kept


def test_a_required_null_stays_for_the_schema_to_refuse():
    assert without_nulls({"needed": None}, schema_of(needed={"type": "string"})) == {"needed": None}


def test_an_unknown_null_stays_for_the_schema_to_refuse():
    assert without_nulls({"other": None}, schema_of()) == {"other": None}


@pytest.mark.parametrize(
    ("schema", "wrap"),
    [
        (INNER, lambda inner: inner),
        ({"type": "array", "items": INNER}, lambda inner: [inner]),
        ({"$ref": "#/$defs/inner"}, lambda inner: inner),
    ],
)
def test_nulls_inside_are_found(schema, wrap):
    value = without_nulls({"field": wrap({"a": None, "b": None})}, schema_of(field=schema))
    assert value == {"field": wrap({"b": None})}


def test_a_circle_of_references_ends():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
    assert without_nulls({"a": {"b": None}}, schema) == {"a": {"b": None}}


def test_arguments_deeper_than_python_can_follow_are_the_models_to_correct():
    tool = FunctionTool(
        "t", lambda: "x", properties={"a": {"type": "array", "items": {"$ref": "#/properties/a"}}}
    )
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidInputError, match="too deeply"):
        tool.check({"a": deep})


_leaf = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}, {"type": "boolean"}]
)
_value = st.none() | st.booleans() | st.integers() | st.text(max_size=3)


@given(
    st.dictionaries(st.sampled_from("abc"), _leaf), st.dictionaries(st.sampled_from("abc"), _value), st.data()
)
def test_what_was_right_stays_as_it_is(properties, value, data):
    required = data.draw(st.lists(st.sampled_from("abc"), unique=True))
    schema = {"type": "object", "properties": properties, "required": required}
    pruned = without_nulls(value, schema)
    if jsonschema.Draft202012Validator(schema).is_valid(value):
        assert pruned == value
    assert all(value[name] is None for name in value.keys() - pruned.keys())
    assert not set(required) & (value.keys() - pruned.keys())
