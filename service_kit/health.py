"""Is the process alive, is it ready: `GET /health`, `/health/live`, `/health/ready`.

*Live* means the event loop turns: a task beats a heartbeat, and whoever answers the request looks
how old it is. The stand-alone server runs in a thread of its own, so that a stuck loop is seen as
what it is instead of as a health page that does not answer. *Ready* means live and every check passes.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

from service_kit.contracts.health import HealthBody, HealthStatus
from service_kit.errors import KitError
from service_kit.hosts import AllowedHosts
from service_kit.lifecycle import raise_if_cancelled
from service_kit.thread_server import BoundedHandler, BoundedServer, refusal

Check = Callable[[], Awaitable[None]]
"""Raises when a part does not work; the exception's text is shown."""
Probe = Callable[[], Awaitable[str | None]]
"""Returns what an operator should know of an optional part, in a sentence; None where it works."""
Page = Callable[[], tuple[str, bytes]]
"""Content type and body of a page of a service's own; called in the server's thread."""

BEAT_EVERY = 1.0
CHECK_EVERY = 2.0
CHECK_TIMEOUT = 3.0
STALE_AFTER = 15.0
"""Seconds without a heartbeat after which the process counts as stuck."""


class Health:
    """What is known of this process's health. Written by its event loop (or thread), read by any."""

    def __init__(self, service: str, *, stale_after: float = STALE_AFTER) -> None:
        self.service = service
        self._stale_after = stale_after
        self._checks: dict[str, Check] = {}
        self._results: dict[str, str] = {}
        self._probes: dict[str, Probe] = {}
        self._notes: dict[str, str] = {}
        self._beat = time.monotonic()

    def add_check(self, name: str, check: Check) -> None:
        """Readiness depends on `check` from now on."""
        self._checks[name] = check
        self._results[name] = "starting"

    def add_note(self, name: str, probe: Probe) -> None:
        """Show what `probe` returns beside the checks; it does not change readiness."""
        self._probes[name] = probe

    def set(self, name: str, result: str = "ok") -> None:
        """Report a part that is not polled, such as the age of the last successful poll."""
        self._results[name] = result

    def beat(self) -> None:
        """The process is alive."""
        self._beat = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether the last heartbeat is fresh."""
        return time.monotonic() - self._beat < self._stale_after

    @property
    def ready(self) -> bool:
        """Live, and every part works."""
        return self.live and all(result == "ok" for result in self._results.values())

    def body(self) -> HealthBody:
        """What `/health` answers."""
        results, notes = dict(self._results), dict(self._notes)
        if not self.live:
            results["event_loop"] = f"no heartbeat for {time.monotonic() - self._beat:.0f} s"
        is_starting = self.live and "starting" in results.values()
        status: HealthStatus = "ok" if self.ready else "starting" if is_starting else "unhealthy"
        return HealthBody(service=self.service, status=status, checks=results, notes=notes)

    async def watch(self) -> None:
        """Beat and run the checks, for ever; a service runs this as one of its tasks."""
        last_check = float("-inf")
        while True:
            raise_if_cancelled()
            self.beat()
            if time.monotonic() - last_check >= CHECK_EVERY:
                await asyncio.gather(
                    *(self._run_check(name, check) for name, check in self._checks.items()),
                    *(self._run_probe(name, probe) for name, probe in self._probes.items()),
                )
                last_check = time.monotonic()
            await asyncio.sleep(BEAT_EVERY)

    async def _run_check(self, name: str, check: Check) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await check()
        except TimeoutError:
            self._results[name] = f"no answer in {CHECK_TIMEOUT:.0f} s"
        except (KitError, OSError) as exc:
            self._results[name] = str(exc) or type(exc).__name__
        except Exception as exc:  # noqa: BLE001 - any failure of a check means: this part does not work
            self._results[name] = type(exc).__name__
        else:
            self._results[name] = "ok"

    async def _run_probe(self, name: str, probe: Probe) -> None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                note = await probe()
        except Exception as exc:  # noqa: BLE001 - whatever it is, an optional part is no reason to stop
            note = f"cannot be looked at: {type(exc).__name__}"
        if note:
            self._notes[name] = note
        else:
            self._notes.pop(name, None)


def respond(health: Health, path: str) -> tuple[int, HealthBody] | None:
    """Status and body for a request of `path`; None where it is not a health page."""
    body = health.body()
    match path.rstrip("/"):
        case "/health" | "/health/ready":
            return (200 if health.ready else 503), body
        case "/health/live":
            return (200 if health.live else 503), body
        case _:
            return None


class HealthServer:
    """A health page for a service that has no HTTP API of its own; a context manager.

    `pages` are further ones by their path, such as `/metrics`.
    """

    def __init__(
        self,
        health: Health,
        host: str,
        port: int,
        *,
        pages: Mapping[str, Page] | None = None,
        allowed_hosts: str = "",
    ) -> None:
        class Handler(BoundedHandler):
            hosts = AllowedHosts(host, allowed_hosts)

            def page(self, path: str) -> tuple[int, str, bytes]:
                if (found := respond(health, path)) is not None:
                    return found[0], "application/json", json.dumps(found[1].model_dump()).encode()
                if pages and (further := pages.get(path)):
                    return 200, *further()
                return refusal(404, "not_found", "There is nothing at this address. See /health.")

        self._server = BoundedServer((host, port), Handler)
        # a prober that is gone before it was accepted must not leave the thread waiting for the next one
        self._server.socket.setblocking(False)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="health", daemon=True
        )

    @property
    def port(self) -> int:
        """The port it listens on (useful when 0 was asked)."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
