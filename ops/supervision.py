"""The supervisord of a checkout: starts it, makes programs known to it, ends it."""

import os
from collections.abc import Sequence

from ops import orphans
from ops.environment import from_the_system
from ops.local_layout import Layout, service_of
from ops.local_status import LocalStatus
from ops.python_env import PythonEnv, PythonEnvs
from ops.services import group_by_needs
from ops.shell import Shell
from ops.supervisor import Supervisor, wait_until
from ops.supervisor_config import Program

BOOT_TIMEOUT = 20.0


class Supervision:
    """Keeps supervisord and its programs as a command wants them."""

    def __init__(self, shell: Shell, layout: Layout, envs: PythonEnvs) -> None:
        self._shell = shell
        self._layout = layout
        self._status = LocalStatus(layout)
        self._envs = envs

    @property
    def supervisor(self) -> Supervisor:
        """The client of supervisord."""
        return Supervisor(self._layout.socket)

    def ensure(self, env: PythonEnv) -> None:
        """Start supervisord where none runs. One of an outdated environment is ended first."""
        supervisor = self.supervisor
        pid = supervisor.pid()
        # its own code and Python are of the environment that it was started from
        if pid is not None and str(env.folder) in orphans.command_line(pid):
            return
        if pid is not None:
            self.shut_down()
        # programs of a supervisord that was killed still hold their ports
        self._end_orphans()
        self._layout.socket.unlink(missing_ok=True)
        self._shell.run(
            [*env.module("supervisor.supervisord"), "-c", self._layout.config],
            env=from_the_system(),
            only_env=True,
            capture=True,
            timeout=60,
        )
        wait_until(
            lambda: supervisor.pid() is not None,
            timeout=BOOT_TIMEOUT,
            otherwise=f"supervisord does not answer; its log: {self._layout.logs / 'supervisord.log'}",
        )

    def update(self, programs: Sequence[Program]) -> set[str]:
        """Make `programs` known to supervisord. Stops what changed or is gone; returns what of it ran."""
        supervisor = self.supervisor
        added, changed, removed = supervisor.reload()
        before = supervisor.processes()
        gone = [name for name in [*changed, *removed] if name in before]
        ran = {name for name in gone if before[name].wanted}
        if ran - set(removed):
            self._shell.say(f"Changed, so started anew: {', '.join(sorted(ran - set(removed)))}")
        self.stop_programs(gone)
        # supervisord takes a changed program only as a new one
        for name in gone:
            supervisor.remove(name)
        for program in programs:
            if program.name in {*added, *changed}:
                supervisor.add(program.name)
        return ran

    def stop_programs(self, names: Sequence[str], *, show: bool = True) -> None:
        """Stop those who need others before the others, so that running work can end."""
        running = self._status.processes()
        names = [name for name in names if name in running and running[name].wanted]
        if not names:
            return
        if show:
            self.show("stop", *names)
        if self._shell.dry_run:
            return
        for group in reversed(group_by_needs(list(dict.fromkeys(service_of(name) for name in names)))):
            members = [name for name in names if service_of(name) in group]
            self.supervisor.stop(members, timeout=self._layout.grace + 10)

    def shut_down(self) -> None:
        """Stop all programs, then supervisord, and end what an earlier one may have left behind."""
        supervisor = self.supervisor
        pid = supervisor.pid()
        self.show("shutdown")
        if self._shell.dry_run:
            return
        if pid is not None:
            self.stop_programs(list(supervisor.processes()), show=False)
            supervisor.shutdown()
            wait_until(
                lambda: not _is_alive(pid),
                timeout=self._layout.grace + BOOT_TIMEOUT,
                otherwise=f"supervisord (pid {pid}) does not end: kill it (kill -9 {pid}), then stop again",
            )
        self._end_orphans()
        self._layout.socket.unlink(missing_ok=True)

    def show(self, *words: str) -> None:
        """Show what is asked of supervisord over its socket, as the command that asks the same."""
        env = self._envs.current("run")
        program = env.module("supervisor.supervisorctl") if env else ["supervisorctl"]
        self._shell.show([*program, "-c", self._layout.config, *words])

    def _end_orphans(self) -> None:
        ended = orphans.end(self._layout.run)
        if ended:
            self._shell.say(f"Ended what an earlier supervisord had left behind: {', '.join(ended)}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
