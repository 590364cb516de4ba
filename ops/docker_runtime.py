"""The suite as containers: everything through `docker compose`, and `docker inspect` to look at it.

What the containers get stands in env files (`ops.container_env`). Names and ports come through the process
environment; compose's own reading of `.env` is switched off, so that one parser decides what its lines mean.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ops import ports
from ops.container_env import write_env_files
from ops.containers import WORST_FIRST, Container, containers_of, state_of
from ops.errors import OpsError
from ops.progress import Progress
from ops.project import Project
from ops.runtime import RuntimeName, ServiceStatus, pytest_arguments
from ops.sandbox_rules import find_sandbox_parts
from ops.services import MIGRATION, MIGRATION_MODULE, SERVICES, add_needs
from ops.shell import Shell

TEST_FILE = "docker-compose.test.yml"
IN_CONTAINERS = "not e2e and not browser"
"""Tests that start the suite or a browser run on the machine itself."""

ERASE_LINE = "\x1b[2K"
"""Some releases of compose begin each line of a log with it, whatever they write to."""
READY_TIMEOUT = 240.0
"""Seconds from `up` to the last service's health; a container gives up on its own after about 90."""
POLL = 0.5
CRASH_LOOP = 3
"""Restarts during one start that mean: it will not come up by itself."""


@dataclass(frozen=True)
class DockerRuntime:
    """The runtime for machines with a Docker engine; see `ops.runtime.Runtime`."""

    project: Project
    shell: Shell
    name: RuntimeName = "docker"

    def start(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Build what changed, migrate, start, and wait until all is healthy."""
        names = self._names(services)
        self._check_ports(names)
        self._stream(["build", *_ours(names)], "an image could not be built")
        self._up(names, replicas)

    def stop(self, services: Sequence[str]) -> None:
        """Stop and remove the containers; their volumes stay."""
        if services:
            self._stream(["rm", "--stop", "--force", *services], "the containers could not be stopped")
        else:
            self._stream(["down", "--remove-orphans"], "the containers could not be stopped")

    def restart(self, services: Sequence[str]) -> None:
        """Stop and start again, with as many replicas as there are."""
        replicas = self._replicas()
        self.stop(services)
        self._up(self._names(services), replicas)

    def rebuild(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Build without any cached layer, then start."""
        self._stream(["build", "--no-cache", *_ours(services)], "an image could not be built")
        self._up(self._names(services), replicas)

    def status(self) -> list[ServiceStatus]:
        """How each service is, from its containers."""
        containers = self._containers()
        result = []
        for service in SERVICES.values():
            own = [container for container in containers if container.service == service.name]
            state, detail = state_of(own)
            url = (
                self.project.url(service.port_variable) if service.browsable and state != "stopped" else None
            )
            pids = tuple(container.pid for container in own if container.pid)
            result.append(ServiceStatus(service.name, state, url, pids, detail))
        return result

    def logs(self, services: Sequence[str], *, follow: bool, lines: int) -> None:
        """What the containers wrote, each line prefixed with its container."""
        options = ["--tail", str(lines), *(["--follow"] if follow else [])]
        with suppress(KeyboardInterrupt):
            self.shell.run(self._compose("logs", *options, *services), env=self._prepare())

    def run_in(
        self, service: str, argv: Sequence[str], *, capture: bool = False, writable: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` beside the service's process, or in a container of its own.

        What writes to the repository, and a migration, means the checkout as it is now: it gets a container
        with the present code; no image is built first. The files it writes belong to whoever runs us.
        """
        migrating = MIGRATION_MODULE in argv
        present = bool(writable) or migrating
        # a running container has the code of its image, which may be older than the checkout
        if not present and any(c.service == service and c.running for c in self._containers()):
            # -T: our output may be a pipe, and a terminal would put carriage returns into it
            command = self._compose("exec", "-T", service, *argv)
        else:
            mounts = self._mounts(service, writable) if present else []
            place = MIGRATION.name if migrating else service
            command = self._compose("run", "--rm", "--no-deps", "-T", *mounts, place, *argv)
        return self.shell.run(command, env=self._prepare(), capture=capture, check=False)

    def test(self, service: str | None, args: Sequence[str]) -> int:
        """Run pytest in the developers' image beside a PostgreSQL and a Redis of its own; remove all."""
        env = {**self._compose_variables(), "COMPOSE_PROJECT_NAME": f"{self.project.name}-test"}
        env["TEST_DB_PORT"] = str(ports.choose(self.project.port("TEST_DB_PORT"), set()))
        file = ["--file", TEST_FILE]
        pytest = ["python", "-m", "pytest", "-m", IN_CONTAINERS, *pytest_arguments(service, args)]
        self._stream([*file, "build"], "the test image could not be built", env=env)
        try:
            command = self._compose(*file, "run", "--rm", "tests", *pytest)
            return self.shell.run(command, env=env, check=False).returncode
        finally:
            down = [*file, "down", "--volumes", "--remove-orphans", "--timeout", "5"]
            self._stream(down, "the test containers could not be removed", env=env)

    def _names(self, services: Sequence[str]) -> list[str]:
        """`services` (none: all) with what they need, and the sandbox where it plays a part."""
        played = find_sandbox_parts(self.project.values).any
        names = add_needs([*services, *(["sandbox"] if services and played else [])])
        return [name for name in names if name != "sandbox" or played or name in services]

    def _prepare(self) -> dict[str, str]:
        """The process environment of `docker compose`, whose env files are on disk afterwards."""
        if not self.shell.dry_run:
            write_env_files(self.project)
        return self._compose_variables()

    def _compose_variables(self) -> dict[str, str]:
        """What stands in ${…} in the compose files, and what keeps compose from reading `.env` itself."""
        ports = [service.port_variable for service in SERVICES.values() if service.browsable]
        names = [*ports, "LOCAL_DATA_DIR"]
        return {
            **{name: value for name in names if (value := self.project.values.get(name))},
            "COMPOSE_PROJECT_NAME": self.project.name,
            "COMPOSE_DISABLE_ENV_FILE": "1",
        }

    def _compose(self, *args: str) -> list[str]:
        return ["docker", "compose", *args]

    def _containers(self) -> list[Container]:
        return containers_of(self.project.name, self.shell)

    def _replicas(self) -> dict[str, int]:
        running = Counter(container.service for container in self._containers() if container.running)
        return {name: n for name, n in running.items() if name in SERVICES and SERVICES[name].scalable}

    def _check_ports(self, names: Iterable[str]) -> None:
        """Docker's own message on a taken port comes late and names no setting."""
        running = {container.service for container in self._containers() if container.running}
        for name in names:
            service = SERVICES[name]
            port = self.project.port(service.port_variable)
            if service.browsable and name not in running and not ports.is_free(port):
                taken = f" by {owner}" if (owner := ports.owner(port)) else ""
                msg = f"port {port} is taken{taken}: set {service.port_variable} in .env to a free one"
                raise OpsError(msg)

    def _mounts(self, service: str, writable: Sequence[str]) -> list[str]:
        """Options of `run` that lay the checkout's code over the image's; only absolute paths are taken."""
        code = [f"{folder}:/app/{folder}:ro" for folder in ("service_kit", service)]
        volumes = [*code, *(f"{folder}:/app/{folder}" for folder in writable)]
        options = [part for volume in volumes for part in ("--volume", f"{self.shell.root}/{volume}")]
        return ["--user", f"{os.getuid()}:{os.getgid()}", *options]

    def _stream(self, args: Sequence[str], problem: str, *, env: Mapping[str, str] | None = None) -> None:
        """Run compose with its progress on standard error; OpsError with `problem` where it fails."""
        with self._run_compose(args, env) as process:
            if process and process.wait() != 0:
                msg = f"{problem} (docker compose ended with exit code {process.returncode}; see above)"
                raise OpsError(msg)

    @contextmanager
    def _run_compose(
        self, args: Sequence[str], env: Mapping[str, str] | None = None
    ) -> "Iterator[subprocess.Popen[bytes] | None]":
        """Compose at work, ended with the block; None in a dry run.

        It writes its progress to standard output, which is for our own results: here that is turned away.
        """
        command = self._compose(*args)
        self.shell.show(command)
        if self.shell.dry_run:
            yield None
            return
        environment = {**os.environ, **(env or self._prepare())}
        process = subprocess.Popen(
            command,
            cwd=self.shell.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
        )
        try:
            yield process
        finally:
            # after Ctrl-C or an error compose must not go on in the background
            if process.poll() is None:
                process.terminate()
            process.wait()

    def _up(self, names: Sequence[str], replicas: Mapping[str, int]) -> None:
        """`up`, then wait until `names` are healthy; OpsError where one does not come up."""
        # compose refuses a number for a service that it is not to bring up
        numbers = {name: n for name, n in replicas.items() if name in names}
        scale = [part for name, n in numbers.items() for part in ("--scale", f"{name}={n}")]
        # compose's own --wait does not say which service failed, nor why
        before = {container.id: container.restarts for container in self._containers()}
        deadline = time.monotonic() + READY_TIMEOUT
        options = ["--detach", "--no-build", "--remove-orphans", *scale]
        with self._run_compose(["--progress", "quiet", "up", *options, *names]) as process:
            if process is None:
                return
            with Progress("Starting and waiting until all is healthy") as progress:
                while (waiting := self._find_unhealthy(names)) or process.poll() != 0:
                    if process.poll() or self._is_hopeless(before, process) or time.monotonic() > deadline:
                        self._check_ports(names)  # one may have been taken while the images were built
                        raise self._failure(self._find_unhealthy(names))
                    progress.update(", ".join(f"{status.name} is {status.state}" for status in waiting))
                    time.sleep(POLL)

    def _find_unhealthy(self, names: Sequence[str]) -> list[ServiceStatus]:
        return [status for status in self.status() if status.state != "healthy" and status.name in names]

    def _is_hopeless(self, before: Mapping[str, int], up: "subprocess.Popen[bytes]") -> bool:
        """Whether a container will not come up by itself; what it did before this start does not count."""
        return any(
            container.restarts - before.get(container.id, 0) >= CRASH_LOOP
            or (up.poll() == 0 and container.running and container.state == "unhealthy")
            for container in self._containers()
        )

    def _failure(self, down: Sequence[ServiceStatus]) -> OpsError:
        """Which services did not come up, the last lines of the first of them, and what to do."""
        failed = [c for c in self._containers() if c.service == MIGRATION.name and c.exit_code]
        culprits = {MIGRATION.name: failed[0].detail} if failed else {}
        # one that still starts most often waits for the broken one
        broken = [status for status in down if status.state != "starting"] or down
        for status in sorted(broken, key=lambda status: WORST_FIRST.index(status.state)):
            culprits[status.name] = status.detail or status.state
        if not culprits:
            return OpsError("docker compose could not start the suite; its own words stand above")
        first = next(iter(culprits))
        last = self.shell.run(
            self._compose("logs", "--no-log-prefix", "--tail", "15", first),
            env=self._prepare(),
            capture=True,
            check=False,
            quiet=True,
            timeout=30,
        ).stdout
        last = last.replace(ERASE_LINE, "").rstrip()
        reasons = ", ".join(f"{name} ({detail})" for name, detail in culprits.items())
        return OpsError(
            f"not everything came up: {reasons}\n\nThe last lines of {first}:\n{last}\n\n"
            "Mend what they name (settings stand in .env) and run ./manage.py start again; "
            f"more in `docker compose logs {first}`."
        )


def _ours(names: Sequence[str]) -> list[str]:
    """Those of `names` that are built here."""
    return [name for name in names if SERVICES[name].module]
