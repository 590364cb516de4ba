"""The suite as processes of this machine, under supervisord; for machines without a Docker engine."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from ops.environment import from_the_system, local_environment
from ops.errors import OpsError
from ops.follow import print_logs
from ops.local_layout import Layout, service_of
from ops.local_migration import MigrationNote
from ops.local_servers import PostgresServer
from ops.local_start import Starter
from ops.local_status import LocalStatus
from ops.postgres_roles import SUPERUSER
from ops.programs import ProgramPlan
from ops.project import Project
from ops.python_env import PythonEnv, PythonEnvs
from ops.runtime import RuntimeName, ServiceStatus, pytest_arguments
from ops.sandbox_rules import find_sandbox_parts
from ops.services import MIGRATION, MIGRATION_MODULE, SERVICES, add_needs
from ops.shell import Shell
from ops.supervision import Supervision
from ops.supervisor_config import Program, render


class LocalRuntime:
    """The runtime for machines without Docker; see `ops.runtime.Runtime`."""

    name: RuntimeName = "local"

    def __init__(self, project: Project, shell: Shell) -> None:
        self.project = project
        self.shell = shell
        self.layout = Layout(project)
        self._status = LocalStatus(self.layout)
        self._envs = PythonEnvs(shell, self.layout.venv)
        self._supervision = Supervision(shell, self.layout, self._envs)

    def start(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install what is missing, migrate, start and wait; restarts only what has changed."""
        self.layout.refuse_strangers()
        env = self._envs.ensure("run")
        wanted = self._choose_services(services)
        if self.shell.dry_run:
            self._show_start(env, wanted)
            return
        programs = self._plan(env, self._numbers(services, replicas))
        self._supervision.ensure(env)
        was_running = self._supervision.update(programs)
        starter = Starter(
            self.project, self._supervision.show, self._supervision.supervisor, self.layout.logs
        )
        chosen = [p for p in programs if p.service in wanted or p.name in was_running]
        idle = {program.service for program in starter.not_running(chosen)}
        if "postgres" in idle:
            PostgresServer(self.project, self.shell).prepare(env)
        servers = [program for program in chosen if SERVICES[program.service].module is None]
        starter.launch(servers)
        starter.wait(servers)
        # Everything begins at once, for starting Python is what takes the time: the services that need
        # rest_service wait for it, while the migrations, which it needs, may still run.
        migrated = MigrationNote(self.layout)
        if "rest_service" in idle and not migrated.is_current():
            starter.launch([program for program in chosen if program.service != "rest_service"])
            self._migrate(env)
            migrated.write()
        starter.launch(chosen)
        try:
            starter.wait(chosen)
        except OpsError:
            migrated.forget()  # the next start leaves nothing untried
            raise
        self._envs.tidy("run")

    def stop(self, services: Sequence[str]) -> None:
        """Stop; without `services` everything, supervisord and what it may have left behind too."""
        self.layout.refuse_strangers()
        if services:
            names = [name for name in self._status.processes() if service_of(name) in services]
            self._supervision.stop_programs(names)
        else:
            self._supervision.shut_down()

    def restart(self, services: Sequence[str]) -> None:
        """Stop and start again, with as many replicas as there are."""
        replicas = self._status.replicas()
        before = self._status.processes()
        dependents = [
            name
            for name, info in before.items()
            if info.wanted and set(services) & (set(add_needs([service_of(name)])) - {service_of(name)})
        ]
        self.stop(services)
        if dependents and not self.shell.dry_run:
            self.shell.say(f"(they reconnect by themselves: {', '.join(dependents)})")
        self.start(services, replicas)

    def rebuild(self, services: Sequence[str], replicas: Mapping[str, int]) -> None:
        """Install the environment anew, then restart."""
        self.layout.refuse_strangers()
        self._envs.ensure("run", anew=True)
        self.start(services, replicas or self._status.replicas())

    def status(self) -> list[ServiceStatus]:
        """What supervisord and the health pages say."""
        return self._status.services()

    def logs(self, services: Sequence[str], *, follow: bool, lines: int) -> None:
        """The ends of the log files, each line with the program's name."""
        files = [
            path
            for path in sorted(self.layout.logs.glob("*.log"))
            if (service_of(path.stem) in services if services else path.stem != "supervisord")
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
        env = self._envs.current("run") or (self._envs.ensure("run") if self.shell.dry_run else None)
        if env is None:
            msg = "nothing is installed yet: ./manage.py start"
            raise OpsError(msg)
        place = MIGRATION.name if MIGRATION_MODULE in argv else service
        return self._run_with(env, place, argv, capture=capture)

    def test(self, service: str | None, args: Sequence[str]) -> int:
        """Run pytest, whose workers start servers that live as long as the run."""
        self.layout.refuse_strangers()
        env = self._envs.ensure("test")
        command = [str(env.python), "-m", "pytest", *pytest_arguments(service, args)]
        if self.shell.dry_run:
            self.shell.show(command)
            return 0
        self._envs.tidy("test")
        # tests never see real keys or addresses, nor servers that somebody uses
        hidden = {*self.project.values, "TEST_DATABASE_URL", "TEST_REDIS_URL"}
        clean = {name: value for name, value in os.environ.items() if name not in hidden}
        settings = {**clean, "PATH": _path_with(env)}
        return self.shell.run(command, env=settings, only_env=True, check=False).returncode

    # how a start goes
    def _numbers(self, services: Sequence[str], replicas: Mapping[str, int]) -> dict[str, int]:
        """`replicas`, but of a service that is not among those named as many as run."""
        running = self._status.replicas() if services else {}
        return {**replicas, **{name: n for name, n in running.items() if name not in services}}

    def _plan(self, env: PythonEnv, replicas: Mapping[str, int]) -> list[Program]:
        """All programs; their specs and supervisord's configuration are on disk afterwards."""
        self.layout.make()
        postgres = PostgresServer(self.project, self.shell)
        plan = ProgramPlan(self.project, env, postgres, self.layout.run)
        programs = plan.programs(replicas)
        plan.write_specs(programs)
        text = render(
            programs,
            root=self.project.root,
            run=self.layout.run,
            logs=self.layout.logs,
            sock=self.layout.socket,
            python=env.python,
            grace=self.layout.grace,
        )
        config = self.layout.config
        config.touch(mode=0o600)
        config.write_text(text, encoding="utf-8")
        return programs

    def _migrate(self, env: PythonEnv) -> None:
        done = self._run_with(env, MIGRATION.name, ["python", "-m", MIGRATION_MODULE], capture=True)
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
            self.shell.show(["initdb", "-D", postgres.data, "-U", SUPERUSER])
        self.shell.show([*env.module("supervisor.supervisord"), "-c", self.layout.config])
        ours = [name for name in wanted if SERVICES[name].module and name != "rest_service"]
        self._supervision.show("start", *(name for name in wanted if not SERVICES[name].module))
        if ours:
            self._supervision.show("start", *ours)
        if "rest_service" in wanted:
            self.shell.show([env.python, "-m", MIGRATION_MODULE])
            self._supervision.show("start", "rest_service")

    def _choose_services(self, services: Sequence[str]) -> list[str]:
        played = find_sandbox_parts(self.project.values).any
        ours = any(SERVICES[name].module for name in services)
        names = add_needs([*services, *(["sandbox"] if ours and played else [])])
        return [name for name in names if name != "sandbox" or played]


def _path_with(env: PythonEnv) -> str:
    return f"{env.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
