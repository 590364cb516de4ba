"""Through how many calls, functions and files does one delegated question run?

    python -m tests.load.question_path [--list]

The suite runs as processes; "Please plan my move to Lisbon" is asked, which the secretary delegates to the
Planner. Counted is what tg_bot and assistant run of the suite's own code until the answer is there, upkeep of
the same second included, comprehensions and lambdas left out.
"""

import argparse
import json
import os
import signal
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ops.embedded import find_binaries
from service_kit.testing.servers import ThrowAwayServers
from tests.harness.chat import Person
from tests.harness.suite import Process, Suite

QUESTION = "Please plan my move to Lisbon"
TRACED = ("tg_bot", "assistant")
TRACING = Path(__file__).parent / "tracing"


def main() -> None:
    """Ask, and print what each service has run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", action="store_true", help="every function with its calls")
    wants_list = parser.parse_args().list
    counted = ask_and_count()
    print(f"{'service':<12}{'calls':>8}{'functions':>12}{'files':>8}")
    for name in TRACED:
        print(_row(name, counted[name]))
        own = {place: calls for place, calls in counted[name].items() if place.startswith(name)}
        print(_row("  own code", own))
    together = sum((Counter(calls) for calls in counted.values()), Counter[str]())
    print(_row("together", together))
    if wants_list:
        for place, number in together.most_common():
            print(f"{number:6} {place}")


def ask_and_count() -> dict[str, dict[str, int]]:
    """What each traced service called for one question."""
    with (
        ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers,
        tempfile.TemporaryDirectory() as folder,
    ):
        files = {name: Path(folder) / f"{name}.json" for name in TRACED}
        suite = Suite(Path(folder), servers.environment())
        plan = suite._plan

        def plan_traced() -> None:
            plan()
            for name, file in files.items():
                suite.processes[name].environment |= {"PYTHONPATH": str(TRACING), "TRACE_FILE": str(file)}

        suite._plan = plan_traced  # type: ignore[method-assign]  # the harness has no other door for this
        with suite:
            person = Person.owner(suite)
            person.ask(QUESTION)  # caches are warm afterwards, as they are in daily use
            for name in TRACED:
                _signal(suite.processes[name], signal.SIGUSR1)
            person.ask(QUESTION)
            for name in TRACED:
                _signal(suite.processes[name], signal.SIGUSR2)
            return {name: _read(file) for name, file in files.items()}


def _signal(process: Process, number: signal.Signals) -> None:
    assert process.popen is not None
    os.kill(process.popen.pid, number)


def _read(file: Path) -> dict[str, int]:
    deadline = time.monotonic() + 10
    while not file.exists():
        if time.monotonic() > deadline:
            msg = f"{file} was not written"
            raise TimeoutError(msg)
        time.sleep(0.05)
    calls: dict[str, int] = json.loads(file.read_text("utf-8"))
    return {place: n for place, n in calls.items() if "<" not in place.rpartition(".")[2]}


def _row(name: str, calls: Mapping[str, int]) -> str:
    files = {place.partition(":")[0] for place in calls}
    return f"{name:<12}{sum(calls.values()):>8}{len(calls):>12}{len(files):>8}"


if __name__ == "__main__":
    main()
