"""An object as models write it that do not write JSON: in a code fence, in Python, with a comma too many."""

import ast
import json
import re
import warnings
from typing import Any

from .parsing import DEEPEST

LONGEST = 2**14
"""Characters of such an object."""
_FENCED = re.compile(r"\s*```\w*\s*\n(.*\S)\s*```\s*", re.DOTALL)
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse_lenient_object(text: str) -> dict[str, Any] | None:
    """The object in the text; None where there is none, or more."""
    if len(text) > LONGEST or text.count("{") + text.count("[") + text.count("(") > DEEPEST:
        return None
    fenced = _FENCED.fullmatch(text)
    body = (fenced[1] if fenced else text).strip()
    value = _parse_json(body) or _parse_python(body)
    return value if isinstance(value, dict) else None


def _parse_json(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return None


def _parse_python(text: str) -> object:
    """Not evaluated: literals are read, and the three words that JSON has in their place."""
    if not text.startswith("{") or r"\/" in text:  # an escape that Python does not have
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = _Constants().visit(ast.parse(text, mode="eval"))
        value = ast.literal_eval(tree)
        return json.loads(json.dumps(value))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


class _Constants(ast.NodeTransformer):
    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(_CONSTANTS[node.id]) if node.id in _CONSTANTS else node
