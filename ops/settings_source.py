"""Which environment variables a service reads, from the source of its settings class.

The class cannot be imported: `manage.py` runs before pydantic is installed. A test holds the result against
the imported classes.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def read_variables(module: str, class_name: str) -> tuple[str, ...]:
    """The fields of a settings class and of its bases, in capitals; each of them is a variable."""
    body = ast.parse(_file_of(module).read_text(encoding="utf-8")).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    imports = dict(_find_imports(module, body))
    found: dict[str, None] = {}
    for base in classes[class_name].bases:
        name = ast.unparse(base)
        origin = (module, name) if name in classes else imports.get(name)
        # a base of a package (BaseSettings) has no fields of ours
        if origin and _file_of(origin[0]).exists():
            found |= dict.fromkeys(read_variables(*origin))
    for node in classes[class_name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id.upper()] = None
    return tuple(found)


def _find_imports(module: str, body: list[ast.stmt]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each imported name, with its module and its name there."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), module.rpartition(".")[0])
            for alias in node.names:
                yield alias.asname or alias.name, (origin, alias.name)


def _file_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")
