"""Small harmful changes of the code, one at a time: how many of them do the tests notice?

    python -m tests.load.mutants --sample 60 --seed 1 --jobs 2
    python -m tests.load.mutants --only service_kit/queue --sample 20

Each change is made in a clone of the last commit, then the tests run until one fails: those of the file's own
folder (the test files that name the module first), then tests/contract and tests/repo, then tests/e2e.
A change that no test notices is printed with its line: write the missing test, or see that the change is
harmless (the same behaviour in other words) and say so. Takes about a minute a change and job.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.load.mutations import Mutation, find_mutations

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "service_kit",
    "assistant",
    "rest_service",
    "google_calendar_service",
    "cron_service",
    "tg_bot",
    "ops",
)
STAGE_TIMEOUT = 900.0
"""Seconds for the tests of one stage; a change that makes them hang is noticed."""


@dataclass(frozen=True)
class Outcome:
    """What became of one change."""

    place: str
    before: str
    after: str
    noticed_by: str | None
    """The first test that failed, None where all passed."""


def main() -> int:
    """Print every change and the share that was noticed; 1 where it is below `--aim`."""
    args = _parse()
    mutations = _choose(args.only, args.sample, args.seed)
    copies: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="mutants-") as home, ThreadPoolExecutor(args.jobs) as pool:
        for number in range(args.jobs):
            copies.put(_clone(Path(home) / f"copy-{number}"))
        if args.check and (failed := _fail(["-n", str(args.jobs)], Path(home) / "copy-0")):
            print(f"without any change the tests fail already: {failed}")
            return 1
        outcomes = list(pool.map(lambda mutation: _try(mutation, copies, args.out), mutations))
    noticed = sum(outcome.noticed_by is not None for outcome in outcomes)
    print(f"noticed: {noticed} of {len(outcomes)} ({100 * noticed / max(len(outcomes), 1):.0f} %)")
    return 0 if noticed >= args.aim / 100 * len(outcomes) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=60, help="how many changes are tried")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other changes")
    parser.add_argument("--only", default="", help="only files whose path begins so")
    parser.add_argument("--jobs", type=int, default=2, help="how many are tried at once")
    parser.add_argument("--aim", type=float, default=90.0, help="percentage that should be noticed")
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="the tests are known to pass unchanged"
    )
    parser.add_argument("--out", type=Path, help="a file for the outcomes, one JSON object a line")
    return parser.parse_args()


def _choose(only: str, sample: int, seed: int) -> list[Mutation]:
    listed = _git("ls-files", *FOLDERS).splitlines()
    sources = [
        name
        for name in listed
        if name.endswith((".py", ".lua"))
        and name.startswith(only)
        and not {"tests", "testing", "versions"} & set(Path(name).parts)
    ]
    found = [
        mutation for name in sources for mutation in find_mutations(name, (ROOT / name).read_text("utf-8"))
    ]
    return random.Random(seed).sample(found, min(sample, len(found)))


def _clone(folder: Path) -> Path:
    _git("clone", "--quiet", "--shared", ".", str(folder))
    return folder


def _try(mutation: Mutation, copies: "SimpleQueue[Path]", out: Path | None) -> Outcome:
    copy = copies.get()
    file = copy / mutation.file
    original = file.read_text("utf-8")
    try:
        file.write_text(mutation.apply(original), "utf-8")
        noticed_by = next((test for stage in _stages(mutation) if (test := _fail(stage, copy))), None)
    finally:
        file.write_text(original, "utf-8")
        copies.put(copy)
    outcome = Outcome(f"{mutation.file}:{mutation.line}", mutation.before, mutation.after, noticed_by)
    print(
        f"{outcome.place}: {mutation.before!r} -> {mutation.after!r}: {noticed_by or 'NOT NOTICED'}",
        flush=True,
    )
    if out:
        with out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(outcome)) + "\n")
    return outcome


def _stages(mutation: Mutation) -> Iterator[list[str]]:
    folder = Path(mutation.file).parts[0]
    stem = Path(mutation.file).stem
    own = [name for name in _git("ls-files", folder).splitlines() if Path(name).name.startswith("test_")]
    yield sorted(own, key=lambda name: stem not in (ROOT / name).read_text("utf-8"))
    yield ["tests/contract", "tests/repo"]
    if folder != "ops":
        yield ["tests/e2e"]


def _fail(tests: Sequence[str], copy: Path) -> str | None:
    """The first of `tests` (pytest's arguments) that fails, None where all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not browser", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, timeout=STAGE_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return "the tests hang"
    if done.returncode == 0:
        return None
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else f"pytest ended with {done.returncode}"


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())
