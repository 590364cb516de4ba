"""rest_service side by side with a bare Starlette + asyncpg handler that does the same SQL.

    python -m tests.load.rest_bench [--rounds 4] [--seconds 1.5] [--only tree]

10,000 users and 1,000 assistants in a throw-away PostgreSQL; both are real processes under uvicorn, asked
by 32 connections in turns, so that whatever else the machine does falls on both. Prints requests a second,
the 99th percentile, and the median over the rounds of ours as a share of the bare one. Takes about a
minute; nothing is judged.
"""

import argparse
import itertools
import os
import random
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from sqlalchemy import create_engine, make_url

from ops.embedded import find_binaries
from rest_service.app.migrate import migrate
from rest_service.app.models import metadata
from rest_service.tests.support import ADMIN_KEY, FERNET_KEY, SERVICE_KEY, make_settings
from service_kit.testing.servers import ThrowAwayServers, free_port, wait_for_port
from tests.harness.rows import FAMILY, FIRST_TELEGRAM_ID, Amounts, assistant_id, fill
from tests.load.http_load import Outcome, Request, get, load, post

USERS, ASSISTANTS = 10_000, 1_000
ROOT = Path(__file__).parents[2]


@dataclass
class Scenario:
    """One kind of request, and what it has given so far."""

    name: str
    request: Request
    ours: list[Outcome] = field(default_factory=list)
    bare: list[Outcome] = field(default_factory=list)

    def line(self) -> str:
        """The figures."""
        share = statistics.median(a.rate / b.rate for a, b in zip(self.ours, self.bare, strict=True))
        sides = (f"{_median(side):8.0f}/s p99 {_p99(side):6.1f} ms" for side in (self.ours, self.bare))
        odd = {
            s: n for side in (self.ours, self.bare) for o in side for s, n in o.statuses.items() if s > 201
        }
        return f"{self.name:16} ours {' | bare '.join(sides)} | share {share:5.2f} {odd or ''}"


def _median(outcomes: list[Outcome]) -> float:
    return statistics.median(outcome.rate for outcome in outcomes)


def _p99(outcomes: list[Outcome]) -> float:
    return statistics.median(outcome.percentile(0.99) for outcome in outcomes)


def scenarios() -> list[Scenario]:
    """What is asked. Ids are drawn anew for each request."""
    chosen = random.Random(1)
    new = itertools.count(FIRST_TELEGRAM_ID * 2)
    roots = [assistant_id(number) for number in range(0, ASSISTANTS, FAMILY)]

    everybody = list(range(USERS))
    chosen.shuffle(everybody)
    ids, accounts = itertools.cycle(everybody), itertools.cycle(everybody)

    def user() -> bytes:
        return get(f"/api/users/{next(ids) + 1}", SERVICE_KEY)

    def account() -> bytes:
        number = FIRST_TELEGRAM_ID + next(accounts)
        return get(f"/api/users/by-telegram-id/{number}", SERVICE_KEY)

    def assistant() -> bytes:
        return get(f"/api/assistants/{assistant_id(chosen.randrange(ASSISTANTS))}", SERVICE_KEY)

    def page() -> bytes:
        return get(f"/api/users?limit=100&offset={chosen.randrange(USERS - 100)}", ADMIN_KEY)

    def tree() -> bytes:
        return get(f"/api/assistants/{chosen.choice(roots)}/tree", SERVICE_KEY)

    def create() -> bytes:
        body = b'{"telegram_id": %d, "first_name": "Ada"}' % next(new)
        return post("/api/users", SERVICE_KEY, body)

    return [
        Scenario("user by id", user),
        Scenario("by telegram_id", account),
        Scenario("tree", tree),
        Scenario("assistant by id", assistant),
        Scenario("list of 100", page),
        Scenario("create", create),
    ]


@contextmanager
def full_servers(amounts: Amounts) -> Iterator[ThrowAwayServers]:
    """Own PostgreSQL, migrated and filled, and own Valkey."""
    with ThrowAwayServers(find_binaries(Path(sysconfig.get_paths()["purelib"]))) as servers:
        url = servers.environment()["TEST_DATABASE_URL"]
        migrate(make_settings(url))
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg2"))
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):  # the default rows
                connection.execute(table.delete())
        engine.dispose()
        fill(url, amounts)
        yield servers


def environment(servers: ThrowAwayServers, port: int) -> dict[str, str]:
    """What either process needs."""
    url = servers.environment()["TEST_DATABASE_URL"]
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "DATABASE_URL": url,
        "ASYNC_DATABASE_URL": url,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(servers.valkey_port),
        "REDIS_PASSWORD": servers.password,
        "ADMIN_API_KEY": ADMIN_KEY,
        "SERVICE_API_KEY": SERVICE_KEY,
        "CREDENTIALS_ENCRYPTION_KEYS": FERNET_KEY,
        "LOG_LEVEL": "WARNING",
        "HTTP_PORT": str(port),
    }


@contextmanager
def process(module: str, servers: ThrowAwayServers) -> Iterator[int]:
    """The port of `python -m module`, running."""
    port = free_port()
    command = [sys.executable, "-m", module]
    with subprocess.Popen(command, env=environment(servers, port), cwd=ROOT) as running:
        try:
            wait_for_port(port, running)
            yield port
        finally:
            running.terminate()


async def bench(rounds: int, seconds: float, only: str) -> None:
    """Run and print."""
    asked = [scenario for scenario in scenarios() if only in scenario.name]
    with (
        full_servers(Amounts(USERS, ASSISTANTS)) as servers,
        process("rest_service.app.main", servers) as ours,
        process("tests.load.bare_rest", servers) as bare,
    ):
        for scenario in asked:  # connections and plans
            await load(bare, scenario.request, seconds=1.0)
            first = await load(ours, scenario.request, seconds=1.0)
            sys.stdout.write(f"{scenario.name:16} at first {first.rate:8.0f}/s\n")
        for number in range(rounds):
            for scenario in asked:
                # who begins changes from round to round
                for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
                    port = ours if side == "ours" else bare
                    getattr(scenario, side).append(await load(port, scenario.request, seconds=seconds))
    for scenario in asked:
        sys.stdout.write(scenario.line() + "\n")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", default="", help="Part of a scenario's name.")
    given = parser.parse_args()
    uvloop.run(bench(given.rounds, given.seconds, given.only))


if __name__ == "__main__":
    main()
