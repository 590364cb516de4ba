import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_service.app.tool_schema import MAX_DEPTH, find_problem


def nested(depth):
    schema: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return json.dumps(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {
            "type": "object",
            "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}},
            "required": ["city"],
        },
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "integer"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#here"}}, "$defs": {"a": {"$anchor": "here"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#/$defs/any"}},
            "$defs": {"any": True},
        },
        {"type": "object", "properties": {"$ref": {"type": "string"}}, "required": ["$ref"]},
        {"type": "object", "required": ["a"], "allOf": [{"properties": {"a": {"type": "integer"}}}]},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x~1y"}}, "$defs": {"x/y": {"type": "null"}}},
        {"type": "object", "properties": {"a": {"default": {"type": "object", "required": ["b"]}}}},
        json.loads(nested(8)),
    ],
)
def test_parameters_of_a_function_are_right(schema):
    assert find_problem(json.dumps(schema)) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("[]", "top level"),
        ('{"type": "string"}', "top level"),
        ('{"type": "object", "properties": []}', "properties"),
        ('{"type": "object", "properties": {"a": {"type": "text"}}}', "properties/a/type"),
        ('{"type": "object", "properties": {"a": {"pattern": "("}}}', "properties/a/pattern"),
        ('{"type": "object", "$ref": "http://127.0.0.1/secret"}', "leads out of the schema"),
        ('{"type": "object", "default": NaN}', "not valid JSON"),
        (nested(MAX_DEPTH), "nests deeper"),
        ('{"type": "object", "$ref": "#/$defs/gone"}', "leads to no schema"),
        ('{"type": "object", "$ref": "#gone"}', "leads to no schema"),
        ('{"type": "object", "properties": {"a": {"$dynamicRef": "#gone"}}}', "leads to no schema"),
        (
            '{"type": "object", "properties": {"a": {"$ref": "#/required/0"}}, "required": ["a"]}',
            "leads to no schema",
        ),
        ('{"type": "object", "default": 1e999}', "not valid JSON"),
        (json.dumps({"type": "object", "pattern": "(?:" * 9000 + "a" + ")" * 9000}), "simpler"),
        ('{"type": "object", "pattern": "a{99999999999999999999}"}', "simpler"),
        ('{"type": "object", "$schema": 5}', "$schema"),
        ('{"type": "object", "$schema": []}', "$schema"),
        ('{"type": "object", "$schema": {}}', "$schema"),
        ('{"type": "object", "$schema": "http://["}', "$schema"),
        ('{"type": "object", "required": ["a"]}', "requires 'a' at its top level"),
        (
            '{"type": "object", "properties": {"a": {"type": "object", "required": ["b"]}}}',
            "requires 'b' at properties/a",
        ),
        ('{"type": "object", "properties": {"a": "string"}}', "'string' is not a schema"),
        ('{"type": "object", "required": "a"}', "required"),
        ("[" * 50_000, "not valid JSON"),
        ('{"type": "object", "a": 1' + "0" * 10_000 + "}", "not valid JSON"),
    ],
)
def test_a_wrong_schema_is_refused_with_its_place(text, reason):
    assert reason in (find_problem(text) or "")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "properties",
                "items",
                "required",
                "$ref",
                "enum",
                "pattern",
                "$schema",
                "$id",
                "$anchor",
                "$defs",
            ]
        ),
        values,
    )
)
def test_no_document_breaks_the_check(keywords):
    find_problem(json.dumps({"type": "object"} | keywords))


def doubling(times: int, use: Callable[[str], dict[str, object]], *, anchors: bool = False) -> str:
    """Definitions that each use the one before twice."""
    definitions: dict[str, object] = {"d0": {"type": "string", "$anchor": "d0"}}
    for number in range(1, times):
        reference = f"#d{number - 1}" if anchors else f"#/$defs/d{number - 1}"
        definitions[f"d{number}"] = {"$anchor": f"d{number}", **use(reference)}
    last = {"$ref": f"#/$defs/d{times - 1}"}
    return json.dumps({"type": "object", "properties": {"a": last}, "$defs": definitions})


USES: list[Callable[[str], dict[str, object]]] = [
    lambda reference: {"allOf": [{"$ref": reference}, {"$ref": reference}]},
    lambda reference: {"anyOf": [{"type": "array", "items": {"$ref": reference}}] * 2},
    lambda reference: {"properties": {"x": {"$ref": reference}, "y": {"$ref": reference}}},
    lambda reference: {"properties": {"$defs": {"allOf": [{"$ref": reference}] * 2}}},
    lambda reference: {"if": {"$ref": reference}, "then": {"$ref": reference}},
]


@pytest.mark.parametrize("anchors", [False, True])
@pytest.mark.parametrize("use", USES)
def test_references_that_double_are_refused(use, anchors):
    assert find_problem(doubling(5, use, anchors=anchors)) is None
    assert "expand to more than" in str(find_problem(doubling(20, use, anchors=anchors)))


def test_a_long_chain_of_references_is_refused_too():
    definitions = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(2000)} | {
        "d2000": {"type": "string"}
    }
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": definitions}
    assert "expand to more than" in str(find_problem(json.dumps(schema)))


def test_a_tree_may_refer_to_itself():
    node = {"type": "object", "properties": {"left": {"$ref": "#/$defs/n"}, "right": {"$ref": "#/$defs/n"}}}
    schema = {"type": "object", "properties": {"tree": {"$ref": "#/$defs/n"}}, "$defs": {"n": node}}
    assert find_problem(json.dumps(schema)) is None
