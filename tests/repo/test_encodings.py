"""Whatever the locale is, text is UTF-8: the programs read no file and no output in the locale's encoding."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    name
    for path in sorted(ROOT.rglob("*.py"))  # a container of the tests has no git
    if "tests" not in path.parts and not (name := str(path.relative_to(ROOT))).startswith(".")
]
RUNS = {"run", "Popen", "check_output", "create_subprocess_exec"}


def _unsaid(source: str) -> Iterator[int]:
    """The lines of calls that leave the encoding of a text to the locale."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        said = {keyword.arg: keyword.value for keyword in node.keywords}
        if "encoding" in said:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [one.value for one in (*node.args, *said.values()) if isinstance(one, ast.Constant)]
        is_binary = any(isinstance(one, str) and "b" in one and set(one) <= set("rwaxb+") for one in texts)
        # `os.open` and the like take no mode in words
        of_path = isinstance(node.func, ast.Attribute) and name == "open"
        if ast.unparse(node.func) == "self.open":  # of an object of ours, no path
            continue
        opens = not is_binary and (
            (of_path and not (node.args and not isinstance(node.args[0], ast.Constant)))
            or (not of_path and name in {"open", "fdopen"})
        )
        if opens or (name == "read_text" and not node.args) or (name == "write_text" and len(node.args) < 2):
            yield node.lineno
        if name in RUNS and ("text" in said or "universal_newlines" in said):
            yield node.lineno


@pytest.mark.parametrize("name", FILES)
def test_the_encoding_is_said(name):
    lines = list(_unsaid((ROOT / name).read_text(encoding="utf-8")))
    assert lines == [], f"{name}: say encoding='utf-8' in lines {lines}"


def test_what_others_read_for_us_in_the_locales_encoding_is_ascii():
    assert (ROOT / "rest_service" / "alembic.ini").read_bytes().isascii()  # by alembic


@pytest.mark.parametrize(
    "call",
    ["open(a)", "a.open('w')", "os.fdopen(a)", "a.read_text()", "a.write_text(b)", "run(a, text=True)"],
)
def test_such_calls_are_found(call):
    assert list(_unsaid(call)) == [1]


@pytest.mark.parametrize(
    "call",
    [
        "open(a, 'rb')",
        "a.open(mode='ab')",
        "a.read_text('utf-8')",
        "a.write_text(b, encoding='utf-8')",
        "run(a)",
    ],
)
def test_others_are_not(call):
    assert list(_unsaid(call)) == []
