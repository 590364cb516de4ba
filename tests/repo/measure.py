"""How large and how plain is the code? `python -m tests.repo.measure [FOLDER…]`

Per folder: lines, files, median and 90th percentile of the lines of files and functions, comments per 100
lines, functions whose names begin with a participle (functions are verbs), and class names that stand twice
in one service. With names of folders, the places too. Tests and migrations are left out.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "service_kit",
    "assistant",
    "rest_service",
    "google_calendar_service",
    "cron_service",
    "tg_bot",
    "sandbox",
    "ops",
)
IRREGULAR = (
    "begun|bound|brought|built|chosen|cut|done|drawn|fed|found|given|gone|grown|heard|held|kept|known|laid|left|lost|"
    "made|meant|met|paid|put|read|said|seen|sent|set|shown|spent|spoken|stood|taken|thought|told|understood|written"
)
PARTICIPLE = re.compile(rf"_*([a-z]{{2,}}ed|{IRREGULAR})(_|$)")
VERBS = re.compile(r"_*(cut|feed|need|proceed|put|read|seed|set|speed|embed|exceed|succeed)(_|$)")
"""Words that look like participles and are verbs."""


@dataclass
class Folder:
    """What is measured of one folder."""

    files: list[int] = field(default_factory=list)
    """Lines of each file."""
    functions: list[int] = field(default_factory=list)
    comments: int = 0
    participles: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, path: Path) -> None:
        """Measure one file."""
        text = path.read_text("utf-8")
        name = str(path.relative_to(ROOT))
        self.files.append(text.count("\n"))
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        self.comments += sum(token.type == tokenize.COMMENT for token in tokens)
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.functions.append((node.end_lineno or node.lineno) - node.lineno + 1)
                    if _is_participle(node):
                        self.participles.append(f"{name}:{node.lineno} {node.name}")
                case ast.ClassDef():
                    self.classes[node.name].append(f"{name}:{node.lineno}")

    @property
    def twice(self) -> dict[str, list[str]]:
        """Class names that mean two things."""
        return {name: places for name, places in self.classes.items() if len(places) > 1}


def main(wanted: Sequence[str]) -> None:
    """Print one row a folder, and the places in those that were named."""
    print(
        f"{'folder':<24}{'lines':>7}{'files':>6}  file 50/90  func 50/90  comments  participles  names twice"
    )
    measured = {name: _measure(name) for name in FOLDERS}
    for name, folder in measured.items():
        lines = sum(folder.files)
        print(
            f"{name:<24}{lines:>7}{len(folder.files):>6}  {_middle(folder.files):>10}  "
            f"{_middle(folder.functions):>10}  {100 * folder.comments / lines:>8.1f}  "
            f"{len(folder.participles):>11}  {len(folder.twice):>11}"
        )
    for name in wanted:
        print(*measured[name].participles, sep="\n")
        for twice, places in measured[name].twice.items():
            print(f"{twice}: {', '.join(places)}")


def _measure(name: str) -> Folder:
    listed = subprocess.run(
        ["git", "ls-files", f"{name}/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    folder = Folder()
    for path in map(Path, listed.splitlines()):
        if not {"tests", "testing", "versions"} & set(path.parts):
            folder.add(ROOT / path)
    return folder


def _is_participle(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    values = ("property", "fixture", "validator", "field_")
    if any(word in ast.unparse(decorator) for decorator in node.decorator_list for word in values):
        return False
    return bool(PARTICIPLE.match(node.name)) and not VERBS.match(node.name)


def _middle(numbers: Sequence[int]) -> str:
    tenths = quantiles(numbers, n=10)
    return f"{tenths[4]:.0f}/{tenths[8]:.0f}"


if __name__ == "__main__":
    main(sys.argv[1:])
