"""PostgreSQL and Redis restarted under load: what rest_service answers meanwhile.

    python -m tests.load.rest_faults [--seconds 12]

A real rest_service on throw-away servers is asked by 16 connections for lists and users.
After a third of the time PostgreSQL is killed and started again, after two thirds Redis. Prints, for each,
how many answers there were of each status, when the first and the last error came, and how long the server
was away. Expected: errors (503) while PostgreSQL is away and a moment after, none for Redis.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uvloop

from ops.embedded import place_postgres, postgres_command, server_account, valkey_command
from rest_service.tests.support import SERVICE_KEY
from service_kit.testing.servers import ThrowAwayServers
from tests.harness.rows import Amounts
from tests.load.http_load import get, load
from tests.load.rest_bench import full_servers, process

USERS = 1_000
SLICE = 0.25
"""Seconds of load whose answers are counted together."""


@dataclass
class Phase:
    """What was answered around one restart."""

    name: str
    away: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    errors_at: list[float] = field(default_factory=list)

    def line(self) -> str:
        """The figures."""
        span = (
            f"errors from {self.errors_at[0]:.1f} to {self.errors_at[-1]:.1f} s" if self.errors_at else "none"
        )
        return f"{self.name:10} away {self.away:4.1f} s | answers {self.statuses} | {span} after the kill\n"


def _restart_postgres(servers: ThrowAwayServers) -> None:
    servers.processes[0].kill()
    servers.processes[0].wait(10)
    account = server_account()
    programs = place_postgres(servers.binaries, servers._home / "programs", account)
    del servers.processes[0]
    servers._launch(
        postgres_command(programs, servers._home / "postgres", servers.postgres_port),
        servers.postgres_port,
        account,
    )
    servers.processes.insert(0, servers.processes.pop())


def _restart_redis(servers: ThrowAwayServers) -> None:
    servers.processes[1].kill()
    servers.processes.pop(1).wait(10)
    command = valkey_command(servers.binaries.valkey_server, servers._home / "valkey.conf")
    servers._launch(command, servers.valkey_port, None)


async def _timed(restart: Callable[[ThrowAwayServers], None], servers: ThrowAwayServers) -> float:
    """Seconds from the kill until the server takes connections."""
    began = time.monotonic()
    await asyncio.to_thread(restart, servers)
    return time.monotonic() - began


async def _under_load(phase: Phase, port: int, seconds: float, restart: "asyncio.Task[float]") -> None:
    paths = [f"/api/users/{number}" for number in range(1, 50)] + ["/api/users?limit=5"] * 50
    turn = iter(paths * 1_000_000)
    began = time.monotonic()
    while time.monotonic() - began < seconds or not restart.done():
        at = time.monotonic() - began
        outcome = await load(port, lambda: get(next(turn), SERVICE_KEY), seconds=SLICE, connections=16)
        for status, count in outcome.statuses.items():
            phase.statuses[status] = phase.statuses.get(status, 0) + count
            if status != 200:
                phase.errors_at.append(at)


async def faults(seconds: float) -> None:
    """Run and print."""
    with (
        full_servers(Amounts(USERS, 100)) as servers,
        process("rest_service.app.main", servers) as port,
    ):
        for name, restart in (("PostgreSQL", _restart_postgres), ("Redis", _restart_redis)):
            await load(port, lambda: get("/api/users/1", SERVICE_KEY), seconds=1)
            phase = Phase(name)
            restarting = asyncio.create_task(_timed(restart, servers))
            await _under_load(phase, port, seconds / 2, restarting)
            phase.away = await restarting
            sys.stdout.write(phase.line())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0)
    uvloop.run(faults(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
