"""The small harmful changes that tests/load/mutants.py tries: conditions, comparisons, numbers, calls."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
HARMLESS = re.compile(
    r"^\s*(@|import |from )|\b(log|logger|_log|warnings?)\b\.|logging|TYPE_CHECKING|cast\("
    r"|print\(|\.say\(|__all__"
)
"""Lines whose change nobody feels: what is only logged, printed or read by the type checker."""
LUA = (("==", "~="), ("~=", "=="), (" and ", " or "), (" or ", " and "), (">=", "<"), ("if not ", "if "))


@dataclass(frozen=True)
class Mutation:
    """One change: `before` at a place of a file becomes `after`."""

    file: str
    line: int
    start: int
    """Offset in the file's UTF-8 bytes."""
    before: str
    after: str

    def apply(self, text: str) -> str:
        """The file's text with the change."""
        data = text.encode()
        end = self.start + len(self.before.encode())
        assert data[self.start : end].decode() == self.before
        return (data[: self.start] + self.after.encode() + data[end:]).decode()


def find_mutations(file: str, text: str) -> list[Mutation]:
    """Every change that can be made to a Python or Lua file."""
    lines = text.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    if file.endswith(".lua"):
        return list(_in_lua(file, lines, starts))
    data = text.encode()
    found: list[Mutation] = []

    def change(node: ast.expr | ast.stmt, make: Callable[[str], str]) -> None:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = data[start:end].decode()
        if not HARMLESS.search(lines[node.lineno - 1].decode()):
            found.append(Mutation(file, node.lineno, start, before, make(before)))

    for node in ast.walk(ast.parse(text)):
        _change_node(node, change)
    return found


def _change_node(node: ast.AST, change: Callable[[ast.expr | ast.stmt, Callable[[str], str]], None]) -> None:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            if not isinstance(test, ast.Constant):
                change(test, lambda old: f"(not ({old}))")
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in COMPARISONS:
            swapped = COMPARISONS[type(operator)]
            change(node, lambda _old: f"{ast.unparse(left)} {swapped} {ast.unparse(right)}")
        case ast.BoolOp(op=operator, values=[first, *rest]):
            word = " or " if isinstance(operator, ast.And) else " and "
            parts = word.join(f"({ast.unparse(value)})" for value in [first, *rest])
            change(node, lambda _old: f"({parts})")
            change(node, lambda _old: f"({ast.unparse(first)})")
        case ast.Constant(value=bool() as value):
            change(node, lambda _old: str(not value))
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float() as number)) if (
            name.isupper() and not isinstance(number, bool)
        ):
            change(node.value, lambda old: f"{old} * 100")
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise():
            change(node, lambda _old: "pass")


def _in_lua(file: str, lines: list[bytes], starts: list[int]) -> Iterator[Mutation]:
    for number, raw in enumerate(lines):
        code = raw.decode().split("--")[0]
        for before, after in LUA:
            at = code.find(before)
            if at >= 0:
                yield Mutation(file, number + 1, starts[number] + len(code[:at].encode()), before, after)
