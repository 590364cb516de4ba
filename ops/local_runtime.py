"""The suite as processes of this machine, under supervisord; for machines without a Docker engine."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops import orphans, probes
from ops.embedded import ThrowAwayServers, find_binaries
from ops.environment import from_the_system, local_environment, sandboxed
from ops.errors import OpsError
from ops.follow import print_logs
from ops.local_servers import PostgresServer, make_reachable
from ops.local_start import Starter
from ops.programs import ProgramPlan
from ops.project import Project
from ops.python_env import PythonEnv, PythonEnvs
from ops.runtime import RuntimeName, ServiceStatus, State
from ops.services import MIGRATION_MODULE, SERVICES, Service, stages, with_needs
from ops.shell import Shell
from ops.supervisor import (
    ProcessInfo,
    Program,
    Supervisor,
    render,
    socket_path,
    wait_until,
)

BOOT_TIMEOUT = 20.0
DRAIN_DEFAULT = 30.0
GRACE = 15
"""Seconds a process has to leave after its drain limit, before it is killed."""


class LocalRuntime:
    """The runtime for machines without Docker; see `ops.runtime.Runtime`."""

    name: RuntimeName = "local"

    def __init__(self, project: Project, shell: Shell) -> None:
        self.project = project
        self.shell = shell
        self.run = project.local / "run"
        self.log_folder = project.local / "logs"
        self._envs = PythonEnvs(shell, project.local / "venv")

    def start(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install what is missing, migrate, start and wait; restarts only what has changed."""
        self._refuse_strangers()
        env = self._envs.ensure("run")
        wanted = self._started_with(services)
        if self.shell.dry_run:
            self._show_start(env, wanted)
            return
        programs = self._plan(env, replicas)
        supervisor = self._supervisor()
        was_running = self._update(supervisor, programs)
        starter = Starter(self.project, self._show_control, supervisor, self.log_folder)
        chosen = [p for p in programs if p.service in wanted or p.name in was_running]
        idle = {program.service for program in starter.not_running(chosen)}
        if "postgres" in idle:
            PostgresServer(self.project, self.shell).prepare(env)
        servers = [program for program in chosen if SERVICES[program.service].module is None]
        starter.launch(servers)
        starter.wait(servers)
        # All others begin at once, for starting Python is what takes the time: those that need rest_service
        # wait for it, and it needs the migrations.
        starter.launch([program for program in chosen if program.service != "rest_service"])
        if "rest_service" in idle:
            self._migrate(env)
        starter.launch(chosen)
        starter.wait(chosen)
        self._envs.tidy("run")

    def stop(self, services: Sequence[str]) -> None:
        """Stop; without `services` everything, supervisord and what it may have left behind too."""
        self._refuse_strangers()
        supervisor = Supervisor(self._socket())
        pid = supervisor.pid()
        if services:
            names = [name for name, info in self._processes().items() if _service_of(name) in services]
            self._stop_programs(supervisor, names)
            return
        self._show_control("shutdown")
        if self.shell.dry_run:
            return
        if pid is not None:
            self._stop_programs(supervisor, list(supervisor.processes()), show=False)
            supervisor.shutdown()
            wait_until(
                lambda: not _alive(pid),
                timeout=self._grace() + BOOT_TIMEOUT,
                otherwise=f"supervisord (pid {pid}) does not end: kill it (kill -9 {pid}), then stop again",
            )
        self._end_orphans()
        self._socket().unlink(missing_ok=True)

    def restart(self, services: Sequence[str]) -> None:
        """Stop and start again, with as many replicas as there are."""
        replicas = self._replicas()
        before = self._processes()
        dependents = [
            name
            for name, info in before.items()
            if info.wanted and set(services) & (set(with_needs([_service_of(name)])) - {_service_of(name)})
        ]
        self.stop(services)
        if dependents and not self.shell.dry_run:
            self.shell.say(f"(they reconnect by themselves: {', '.join(dependents)})")
        self.start(services, replicas)

    def rebuild(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install the environment anew, then restart."""
        self._refuse_strangers()
        self._envs.ensure("run", anew=True)
        self.start(services, replicas or self._replicas())

    def status(self) -> list[ServiceStatus]:
        """What supervisord and the health pages say."""
        processes = self._processes()
        left = {} if processes else {found.name: found.pid for found in orphans.alive(self.run)}
        with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
            return list(pool.map(lambda one: self._status_of(one, processes, left), SERVICES.values()))

    def logs(self, services: Sequence[str], *, follow: bool, lines: int) -> None:
        """The ends of the log files, each line with the program's name."""
        files = [
            path
            for path in sorted(self.log_folder.glob("*.log"))
            if (_service_of(path.stem) in services if services else path.stem != "supervisord")
        ]
        self.shell.show(["tail", f"-n{lines}", *(["-F"] if follow else []), *files])
        if not self.shell.dry_run:
            if not files:
                self.shell.say("There are no logs yet: ./manage.py start")
            print_logs(files, follow=follow, lines=lines)

    def run_in(
        self, service: str, argv: Sequence[str], *, capture: bool = False, writable: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run with the service's settings, in the suite's virtual environment."""
        del writable  # everything is, here
        env = self._envs.find("run") or self._envs.current("run") or self._envs.ensure("run")
        return self._run_with(env, service, argv, capture=capture)

    def test(self, service: str | None, args: Sequence[str]) -> int:
        """Run pytest against servers that live as long as the run."""
        self._refuse_strangers()
        env = self._envs.ensure("test")
        command = [str(env.python), "-m", "pytest", *([service] if service else []), *args]
        if self.shell.dry_run:
            self.shell.show(command)
            return 0
        self._envs.tidy("test")
        self.shell.say("Starting a PostgreSQL and a Redis for the tests alone…")
        with ThrowAwayServers(find_binaries(env.site_packages)) as servers:
            hidden = dict.fromkeys(self.project.values, "")  # tests never see real keys or addresses
            settings = {**servers.environment(), "PATH": _path_with(env)}
            clean = {name: value for name, value in os.environ.items() if name not in hidden}
            return self.shell.run(command, env={**clean, **settings}, only_env=True, check=False).returncode

    # how a start goes
    def _plan(self, env: PythonEnv, replicas: Mapping[str, int]) -> list[Program]:
        """All programs; their specs and supervisord's configuration are on disk afterwards."""
        make_reachable(self.project.local)
        for folder in (self.run, self.log_folder, self.project.local / "data" / "sandbox"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
        postgres = PostgresServer(self.project, self.shell)
        plan = ProgramPlan(self.project, env, postgres, self.run)
        programs = plan.programs(replicas)
        plan.write_specs(programs)
        text = render(
            programs,
            root=self.project.root,
            run=self.run,
            logs=self.log_folder,
            sock=self._socket(),
            python=env.python,
            grace=self._grace(),
        )
        config = self._config()
        config.touch(mode=0o600)
        config.write_text(text)
        return programs

    def _supervisor(self) -> Supervisor:
        """The running supervisord, started first where there is none (or it is of an old environment)."""
        env = self._envs.find("run")
        assert env is not None  # noqa: S101 - for the type checker: `start` has just made it
        supervisor = Supervisor(self._socket())
        pid = supervisor.pid()
        if pid is not None and str(env.folder) in orphans.command_line(pid):
            return supervisor
        if pid is not None:
            self.stop([])
        self._end_orphans()
        self._socket().unlink(missing_ok=True)
        self.shell.run(
            [env.program("supervisord"), "-c", self._config()],
            env=from_the_system(),
            only_env=True,
            capture=True,
            timeout=60,
        )
        wait_until(
            lambda: supervisor.pid() is not None,
            timeout=BOOT_TIMEOUT,
            otherwise=f"supervisord does not answer; its log: {self.log_folder / 'supervisord.log'}",
        )
        return supervisor

    def _update(self, supervisor: Supervisor, programs: Sequence[Program]) -> set[str]:
        """Make supervisord know `programs`; stops what changed or went. Names of those that ran before."""
        added, changed, removed = supervisor.reload()
        before = supervisor.processes()
        gone = [name for name in [*changed, *removed] if name in before]
        ran = {name for name in gone if before[name].wanted}
        if ran - set(removed):
            self.shell.say(f"Changed, so started anew: {', '.join(sorted(ran - set(removed)))}")
        self._stop_programs(supervisor, gone)
        for name in gone:
            supervisor.remove(name)
        for program in programs:
            if program.name in {*added, *changed}:
                supervisor.add(program.name)
        return ran

    def _stop_programs(self, supervisor: Supervisor, names: Sequence[str], *, show: bool = True) -> None:
        """Stop in an order in which nobody loses what he still needs to finish his work."""
        running = self._processes()
        names = [name for name in names if name in running and running[name].wanted]
        if not names:
            return
        if show:
            self._show_control("stop", *names)
        if self.shell.dry_run:
            return
        for group in reversed(stages(list(dict.fromkeys(_service_of(name) for name in names)))):
            members = [name for name in names if _service_of(name) in group]
            supervisor.stop(members, timeout=self._grace() + 10)

    def _migrate(self, env: PythonEnv) -> None:
        done = self._run_with(env, "rest_service", ["python", "-m", MIGRATION_MODULE], capture=True)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-4000:]
            msg = f"The database could not be brought up to date:\n{said}"
            raise OpsError(msg)

    def _run_with(
        self, env: PythonEnv, service: str, argv: Sequence[str], *, capture: bool
    ) -> subprocess.CompletedProcess[str]:
        program, *rest = argv
        command = [str(env.python if program == "python" else env.program(program)), *rest]
        settings = {**from_the_system(), **local_environment(self.project, service)}
        return self.shell.run(command, env=settings, only_env=True, capture=capture, check=False)

    def _show_start(self, env: PythonEnv, wanted: Sequence[str]) -> None:
        """What a start runs, in its order, where nothing runs yet."""
        postgres = PostgresServer(self.project, self.shell)
        if not (postgres.data / "initialised").exists():
            self.shell.show(["initdb", "-D", postgres.data, "-U", postgres.login.user])
        self.shell.show([env.program("supervisord"), "-c", self._config()])
        ours = [name for name in wanted if SERVICES[name].module and name != "rest_service"]
        self._show_control("start", *(name for name in wanted if not SERVICES[name].module))
        if ours:
            self._show_control("start", *ours)
        if "rest_service" in wanted:
            self.shell.show([env.python, "-m", MIGRATION_MODULE])
            self._show_control("start", "rest_service")

    # what is there
    def _processes(self) -> dict[str, ProcessInfo]:
        supervisor = Supervisor(self._socket())
        return supervisor.processes() if supervisor.pid() is not None else {}

    def _status_of(
        self, service: Service, processes: Mapping[str, ProcessInfo], left: Mapping[str, int]
    ) -> ServiceStatus:
        port = self.project.port(service.port_variable)
        url = f"http://127.0.0.1:{port}" if service.module else None
        astray = [pid for name, pid in left.items() if _service_of(name) == service.name]
        if astray:
            detail = "runs without its supervisor: ./manage.py start"
            return ServiceStatus(service.name, "unhealthy", url, astray, detail)
        own = {name: info for name, info in processes.items() if _service_of(name) == service.name}
        if not any(info.wanted for info in own.values()):
            return ServiceStatus(service.name, "stopped")
        found = [self._probe(service, name, info) for name, info in own.items() if info.wanted]
        order: tuple[State, ...] = ("unhealthy", "starting", "healthy")
        state, detail = min(found, key=lambda one: order.index(one[0]))
        return ServiceStatus(service.name, state, url, [i.pid for i in own.values() if i.pid], detail)

    def _probe(self, service: Service, name: str, info: ProcessInfo) -> tuple[State, str]:
        if info.state == "BACKOFF":
            return "unhealthy", f"ends again and again: ./manage.py logs --service {service.name}"
        replica = int(name.rsplit("-", 1)[1]) if service.scalable else 0
        return probes.probe(self.project, service, replica)

    def _replicas(self) -> dict[str, int]:
        """How many of each scalable service run; none named where nothing runs."""
        found: dict[str, int] = {}
        for name, info in self._processes().items():
            if SERVICES[_service_of(name)].scalable and info.wanted:
                found[_service_of(name)] = found.get(_service_of(name), 0) + 1
        return found

    def _show_control(self, *words: str) -> None:
        """What we ask supervisord for over its socket, as the command that asks the same."""
        env = self._envs.current("run") or self._envs.ensure("run")
        self.shell.show([env.program("supervisorctl"), "-c", self._config(), *words])

    def _started_with(self, services: Sequence[str]) -> list[str]:
        played = sandboxed(self.project.values).any
        ours = any(SERVICES[name].module for name in services)
        names = with_needs([*services, *(["sandbox"] if ours and played else [])])
        return [name for name in names if name != "sandbox" or played]

    def _end_orphans(self) -> None:
        ended = orphans.end(self.run)
        if ended:
            self.shell.say(f"Ended what an earlier supervisord had left behind: {', '.join(ended)}")

    def _refuse_strangers(self) -> None:
        """One checkout, one account: files of two owners would lock both out."""
        local = self.project.local
        if local.exists() and local.stat().st_uid != os.geteuid():
            owner = pwd.getpwuid(local.stat().st_uid).pw_name
            msg = (
                f"{local} belongs to {owner}: run this as {owner}, "
                "or set LOCAL_DATA_DIR in .env to a folder of yours"
            )
            raise OpsError(msg)

    def _config(self) -> Path:
        return self.run / "supervisord.conf"

    def _socket(self) -> Path:
        return socket_path(self.run, self.project.name)

    def _grace(self) -> int:
        return int(float(self.project.values.get("DRAIN_TIMEOUT") or DRAIN_DEFAULT)) + GRACE


def _service_of(program: str) -> str:
    """`assistant-0` is a process of `assistant`."""
    return program if program in SERVICES else program.rpartition("-")[0]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _path_with(env: PythonEnv) -> str:
    return f"{env.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
