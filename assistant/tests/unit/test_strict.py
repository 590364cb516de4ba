from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assistant.src.core.wire.strict import CACHE_SIZE, MAX_PROPERTIES, strict_schema
from assistant.src.tools.nulls import without_nulls


def an_object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)} | more


def test_an_optional_property_becomes_one_that_may_be_null():
    schema = an_object(
        {
            "city": {"type": "string", "description": "Where", "default": "Berlin"},
            "days": {"type": "integer", "minimum": 1, "maximum": 16},
            "unit": {"type": "string", "enum": ["C", "F"]},
        },
        "city",
    )
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 16},
            "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
        },
        "required": ["city", "days", "unit"],
        "additionalProperties": False,
    }


def test_a_tool_without_arguments():
    expected = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert strict_schema({"type": "object"}) == expected


@pytest.mark.parametrize(
    "property_schema",
    [
        {},
        True,
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "required": ["ghost"]},
        {"type": ["string", "integer"]},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "string", "minLength": 1},
        {"type": "string", "pattern": "(?=x)"},
        {"enum": ["a", "b"]},
        {"$ref": "#/$defs/x"},
        {"oneOf": [{"type": "string"}]},
        {"anyOf": [{"type": "string"}], "type": "string"},
        {"anyOf": [an_object({"a": {"type": "string"}})]},
        {"type": "string", "const": "a", "enum": ["b"]},
    ],
    ids=str,
)
def test_what_cannot_be_said_is_not(property_schema):
    assert strict_schema(an_object({"x": property_schema})) is None


def test_the_limits_of_the_strict_form():
    many = {f"p{number}": {"type": "string"} for number in range(MAX_PROPERTIES)}
    assert strict_schema(an_object(many)) is not None
    assert strict_schema(an_object(many | {"more": {"type": "string"}})) is None
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(8):
        deep = an_object({"down": deep})
    assert strict_schema(deep) is None


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "string"},
        {"type": ["string", "null"]},
        {"type": "string", "const": "x"},
        {"type": ["integer", "null"], "enum": [1, None]},
        {"type": ["integer", "null"], "enum": [1, 2]},
        {"type": "integer", "minimum": 0, "maximum": 9, "default": 3},
        {"type": "number", "multipleOf": 2, "format": "double"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
    ]
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of whose properties any may be required; not all can be said in the strict form."""

    def made(properties: dict[str, Any], needed: set[str], *, closed: bool) -> dict[str, Any]:
        closing = {"additionalProperties": False} if closed else {}
        return an_object(properties, *sorted(needed & properties.keys()), **closing)

    properties = st.dictionaries(NAMES, inner, max_size=3)
    return st.builds(made, properties, st.sets(NAMES), closed=st.booleans())


def _wider(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    arrays = st.builds(lambda items: {"type": "array", "items": items, "maxItems": 2}, inner)
    either = st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner)
    return st.one_of(_objects(inner), arrays, either)


SCHEMAS = _objects(st.recursive(LEAVES, _wider, max_leaves=4))


def values_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What fits a schema in the strict form, apart from some limits of numbers."""
    if "anyOf" in schema:
        return st.one_of([values_of(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    made: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(["x", "yy", ""]),
        "boolean": st.booleans(),
        "null": st.none(),
        "integer": st.integers(0, 9),
        "number": st.sampled_from([0, 2, 8]),
    }
    if "object" in kinds:
        made["object"] = st.fixed_dictionaries(
            {name: values_of(value) for name, value in schema["properties"].items()}
        )
    if "array" in kinds:
        made["array"] = st.lists(values_of(schema["items"]), max_size=2)
    return st.one_of([made[kind] for kind in kinds])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_fits_the_strict_form_fits_the_tool(data):
    schema = data.draw(SCHEMAS)
    strict = strict_schema(schema)
    assume(strict is not None)
    assert strict is not None
    value = data.draw(values_of(strict))
    assume(jsonschema.Draft202012Validator(strict).is_valid(value))
    jsonschema.Draft202012Validator(schema).validate(without_nulls(value, schema))


def test_a_schema_is_converted_once_and_never_taken_for_another():
    schemas = [an_object({f"p{number}": {"type": "string"}}) for number in range(3 * CACHE_SIZE)]
    for schema in schemas:
        (name,) = schema["properties"]
        strict = strict_schema(schema)
        assert strict is not None
        assert list(strict["properties"]) == [name]
        assert strict_schema(schema) is strict
