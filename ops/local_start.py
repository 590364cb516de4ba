"""Starts programs under supervisord and waits until they are healthy, or says why they are not."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ops import ports, probes
from ops.errors import OpsError
from ops.progress import Progress
from ops.project import Project
from ops.services import SERVICES
from ops.supervisor import Supervisor
from ops.supervisor_config import Program, log_file

Show = Callable[..., None]
"""Shows what is asked of supervisord as a command, given its words."""

HEALTHY_TIMEOUT = 180.0
POLL = 0.1
CRASHES = 3
"""Lives of a process during one start after which it is given up."""
TAIL = 15


class Starter:
    """One start."""

    def __init__(self, project: Project, show: Show, supervisor: Supervisor, logs: Path) -> None:
        self._project = project
        self._show = show
        self._supervisor = supervisor
        self._logs = logs

    def not_running(self, programs: Sequence[Program]) -> list[Program]:
        """Those that supervisord does not keep running."""
        processes = self._supervisor.processes()
        return [program for program in programs if not processes[program.name].wanted]

    def launch(self, programs: Sequence[Program]) -> None:
        """Start those that do not run, without waiting. OpsError names a port that is taken."""
        idle = self.not_running(programs)
        self._check_ports(idle)
        if idle:
            self._show("start", *(program.name for program in idle))
        for program in idle:
            self._supervisor.start(program.name)

    def wait(self, programs: Sequence[Program]) -> None:
        """Return when all are healthy. OpsError names the one that does not get there, with its log."""
        if self._unhealthy(programs):
            with Progress("Waiting until all is healthy") as progress:
                self._wait(programs, progress)

    def _wait(self, programs: Sequence[Program], progress: Progress) -> None:
        lives: dict[str, set[int]] = {program.name: set() for program in programs}
        deadline = time.monotonic() + HEALTHY_TIMEOUT
        while waiting := self._unhealthy(programs):
            processes = self._supervisor.processes()
            for program, detail in waiting:
                lives[program.name] |= {processes[program.name].pid} - {0}
                # each pid is a life; supervisord itself would try for ever
                crashed = len(lives[program.name]) >= CRASHES
                if crashed or processes[program.name].state in {"FATAL", "EXITED"}:
                    raise self._failure(program, "ends again and again")
                if time.monotonic() > deadline:
                    raise self._failure(program, f"is not healthy after {HEALTHY_TIMEOUT:.0f} s ({detail})")
            progress.update("still " + ", ".join(program.name for program, _ in waiting))
            time.sleep(POLL)

    def _unhealthy(self, programs: Sequence[Program]) -> list[tuple[Program, str]]:
        found = []
        for program in programs:
            service = SERVICES[program.service]
            replica = program.port - self._project.port(service.port_variable)
            state, detail = probes.probe(self._project, service, replica)
            if state != "healthy":
                found.append((program, detail))
        return found

    def _check_ports(self, programs: Sequence[Program]) -> None:
        for program in programs:
            # the service's own message would stand in its log alone
            if not ports.is_free(program.port):
                variable = SERVICES[program.service].port_variable
                holder = ports.owner(program.port)
                by = f" by {holder}" if holder else ""
                msg = (
                    f"Port {program.port}, which {program.name} needs, is taken{by}.\n"
                    f"End that program, or set {variable} in .env to a free port, then start again."
                )
                raise OpsError(msg)

    def _failure(self, program: Program, what: str) -> OpsError:
        path = log_file(self._logs, program.name)
        lines = (
            path.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:] if path.exists() else []
        )
        tail = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
        return OpsError(
            f"{program.name} {what}. The end of its log ({path}):\n\n{tail}\n\n"
            "Put right what it says (most often a setting in .env), then: ./manage.py start"
        )
