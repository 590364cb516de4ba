"""What each command does, in terms of a runtime."""

import argparse
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ops import chat, configuration, envfile, environment, keys, lock, owner, report
from ops.docker_runtime import DockerRuntime
from ops.errors import OpsError
from ops.local_runtime import LocalRuntime
from ops.project import Project
from ops.python_env import PythonEnvs
from ops.runtime import Runtime, RuntimeName, active_file, active_runtime, docker_problem
from ops.services import MIGRATION_MODULE, check_names
from ops.shell import Shell

MAX_REPLICAS = environment.REPLICA_PORTS
INSPECT = ["python", "-m", "service_kit.queue.inspect"]
MIGRATIONS = "rest_service/alembic/versions"


class Commands:
    """The commands, for one call of `./manage.py`."""

    def __init__(self, root: Path, args: argparse.Namespace) -> None:
        self._args = args
        self._shell = Shell(root, dry_run=args.dry_run)

    def start(self) -> None:
        """Start and say where to go."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            self._start(project, runtime, self._args.services, self._replicas(project))
        self._say_started(project)

    def stop(self) -> None:
        """Stop everything, or some."""
        with self._one_at_a_time():
            project = self._project()
            self._runtime(project, changing=True).stop(self._args.services)
            if not self._args.services and not self._shell.dry_run:
                active_file(project).unlink(missing_ok=True)
        if not self._shell.dry_run:
            self._shell.say("Stopped. The data stays; ./manage.py start goes on with it.")

    def restart(self) -> None:
        """Stop and start."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            runtime.restart(self._args.services)
            self._note(project, runtime)
        self._say_started(project)

    def rebuild(self) -> None:
        """Build anew and start."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            self._note(project, runtime)
            runtime.rebuild(self._args.services, self._replicas(project))
        self._say_started(project)

    def status(self) -> None:
        """Show how everything is."""
        project = self._project()
        runtime = self._runtime(project)
        services = runtime.status()
        redis_answers = any(one.name == "redis" and one.state == "healthy" for one in services)
        # the look into the queues is no action: its command is not shown
        silent = self._make(runtime.name, project, replace(self._shell, silent=True))
        queues = self._queues(silent) if redis_answers else {}
        if self._args.json:
            print(json.dumps(report.as_json(runtime.name, services, queues)))
        else:
            print(report.as_table(runtime.name, services, queues))

    def logs(self) -> None:
        """Show what the services wrote."""
        runtime = self._runtime(self._project())
        runtime.logs(self._args.services, follow=self._args.follow, lines=self._args.lines)

    def dead(self) -> int:
        """List, requeue or drop dead letters."""
        args = self._args
        words = ["dead", args.action, *([args.queue] if args.queue else [])]
        if args.action != "list":
            if not args.queue or (args.index is None and not args.all):
                msg = f"say which: ./manage.py dead {args.action} QUEUE --index N (or --all)"
                raise OpsError(msg, exit_code=2)
            words.append("--all" if args.all else str(args.index))
        return self._runtime(self._project()).run_in("assistant", [*INSPECT, *words]).returncode

    def migrate(self) -> int:
        """Write a migration that makes the tables what the models say."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            self._start(project, runtime, ["postgres", "redis"], {})
            revision = ["python", "-m", "alembic", "-c", "rest_service/alembic.ini", "revision"]
            revision += ["--autogenerate", "-m", self._args.message]
            # autogenerate compares the models with the tables, which must be those of the newest migration
            for command in (["python", "-m", MIGRATION_MODULE], revision):
                done = runtime.run_in("rest_service", command, writable=[MIGRATIONS])
                if done.returncode != 0:
                    return done.returncode
        return 0

    def upgrade(self) -> int:
        """Apply the migrations."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            self._start(project, runtime, ["postgres", "redis"], {})
            return runtime.run_in("rest_service", ["python", "-m", MIGRATION_MODULE]).returncode

    def test(self) -> int:
        """Run the tests."""
        project = self._project()
        runtime = self._make(self._args.runtime or self._detect(), project)
        return runtime.test(self._args.service, self._args.passed_on)

    def chat(self) -> None:
        """Talk, after a start if need be."""
        with self._one_at_a_time():
            project = self._project(write=True)
            chat.refuse_real_telegram(project)
            runtime = self._runtime(project, changing=True)
            needed = {"rest_service", "assistant", "tg_bot", "sandbox"}
            state = {one.name: one.state for one in runtime.status()}
            if any(state.get(name) != "healthy" for name in needed):
                self._start(project, runtime, [], self._replicas(project))
        if self._shell.dry_run:
            return
        # the lock is free again here: a conversation may last, and other commands must not wait for it
        if self._args.say is None:
            chat.talk(project, self._args.user, self._args.timeout)
        else:
            chat.say(project, self._args.say, self._args.user, self._args.timeout)

    def export_file(self) -> None:
        """Write the configuration to a file."""
        project = self._project()
        if self._shell.dry_run:
            self._shell.say(f"GET {project.url('REST_SERVICE_PORT')}/api/export > {self._args.file}")
        else:
            configuration.export_to(project, self._args.file)

    def import_file(self) -> None:
        """Bring the configuration of a file in; a dry run shows the difference."""
        configuration.import_from(self._project(), self._args.file, dry_run=self._shell.dry_run)

    def owner(self) -> None:
        """Another code that makes an owner."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            self._note(project, runtime)
            owner.renew(self._shell, self._project, lambda project: self._make(runtime.name, project))

    def rotate_keys(self) -> int:
        """Encrypt the calendar tokens with another key."""
        with self._one_at_a_time():
            project = self._project(write=True)
            runtime = self._runtime(project, changing=True)
            if self._args.forget:
                self._start(project, runtime, ["postgres", "redis"], {})
                return runtime.run_in("rest_service", [*keys.ROTATE, "--forget"]).returncode
            self._note(project, runtime)
            done = keys.rotate(
                self._shell,
                self._project,
                lambda project: self._make(runtime.name, project),
                drop_old=self._args.drop_old,
            )
        if done == 0 and not self._args.drop_old and not self._shell.dry_run:
            self._shell.say(
                "The old keys still open backups. To let them go: ./manage.py rotate-keys --drop-old"
            )
        return done

    def lock(self) -> int:
        """Lock the dependencies, or look whether that would change anything."""
        uv = lock.find_uv(self._shell)
        if uv is None:
            folder = self._project().local / "venv"
            uv = PythonEnvs(self._shell, folder).ensure("test").program("uv")
        if not self._args.check:
            lock.lock(self._shell, uv, upgrade=self._args.upgrade)
            return 0
        differences = lock.drift(self._shell, uv)
        if differences:
            print("\n".join(differences))
            self._shell.say("The locked requirements are out of date: ./manage.py lock")
        return 1 if differences else 0

    def _say_started(self, project: Project) -> None:
        if self._args.services and not self._shell.dry_run:
            self._shell.say(f"Running: {', '.join(self._args.services)}")
        else:
            report.print_started(self._shell, project)

    def _project(self, *, write: bool = False) -> Project:
        write = write and not self._shell.dry_run
        # a file that an editor or a copy has made is often readable by all
        path = self._shell.root / environment.ENV_FILE
        if write and path.exists() and envfile.make_private(path):
            self._shell.say(".env holds secrets and could be read by others; now only you can read it.")
        project, made = environment.load(self._shell.root, os.environ, write=write)
        if write and made == [environment.ENV_FILE]:
            self._shell.say("Made .env with fresh keys and free ports; keep it secret.")
        elif write and made:
            self._shell.say(f"Completed .env: {', '.join(made)}")
        return project

    def _runtime(self, project: Project, *, changing: bool = False) -> Runtime:
        """The runtime to use, said aloud. With `changing`, never a second one beside a running one."""
        forced: RuntimeName | None = self._args.runtime
        active = active_runtime(project)
        if forced and active and forced != active and changing and not self._shell.dry_run:
            self._refuse_second(project, active)
        return self._make(forced or active or self._detect(), project)

    def _refuse_second(self, project: Project, active: RuntimeName) -> None:
        if active == "docker" and docker_problem(self._shell):
            return  # the engine is gone, and the suite with it
        if any(service.state != "stopped" for service in self._make(active, project).status()):
            msg = f"the suite runs in the {active} runtime: ./manage.py stop first, or leave out --runtime"
            raise OpsError(msg)

    def _detect(self) -> RuntimeName:
        problem = docker_problem(self._shell)
        if problem is None:
            self._shell.say("Runtime: docker (an engine answers; --runtime local for processes)")
            return "docker"
        self._shell.say(f"Runtime: local ({problem})")
        return "local"

    def _make(self, name: RuntimeName, project: Project, shell: Shell | None = None) -> Runtime:
        shell = shell or self._shell
        return DockerRuntime(project, shell) if name == "docker" else LocalRuntime(project, shell)

    def _start(
        self, project: Project, runtime: Runtime, services: list[str], replicas: dict[str, int]
    ) -> None:
        self._note(project, runtime)
        runtime.start(services, replicas)

    def _note(self, project: Project, runtime: Runtime) -> None:
        """Remember the runtime, so that later commands find the suite without being told."""
        if not self._shell.dry_run:
            project.local.mkdir(parents=True, exist_ok=True)
            active_file(project).write_text(runtime.name, encoding="utf-8")

    def _replicas(self, project: Project) -> dict[str, int]:
        """Numbers of processes from `.env` and `--replicas`; ones are left out."""
        numbers: dict[str, int] = {}
        # what is typed comes later and so goes before what `.env` says
        words = [f"assistant={project.values.get('ASSISTANT_REPLICAS') or 1}"]
        for word in [*words, *getattr(self._args, "replicas", [])]:
            name, _, number = word.partition("=")
            check_names([name], scalable=True)
            if not number.isdecimal() or not 1 <= int(number) <= MAX_REPLICAS:
                msg = f"{word!r}: expected NAME=N with N from 1 to {MAX_REPLICAS}"
                raise OpsError(msg, exit_code=2)
            numbers[name] = int(number)
        return {name: number for name, number in numbers.items() if number != 1}

    def _queues(self, runtime: Runtime) -> report.Queues:
        done = runtime.run_in("assistant", [*INSPECT, "depth", "--json"], capture=True)
        if done.returncode != 0:
            self._shell.say(f"The queues cannot be read: {done.stderr.strip()[-300:]}")
            return {}
        found: report.Queues = json.loads(done.stdout)
        return found

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """No two commands change the suite at once; the lock goes with the process, however it ends."""
        if self._shell.dry_run:
            yield
            return
        # the folder itself is the lock file: nothing is left behind, and it is there before .local is
        handle = os.open(self._shell.root, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._shell.say("Another ./manage.py is at work in this folder; waiting for it…")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
