"""From the services' table to the processes of the local runtime."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ops import embedded, redis_users
from ops.environment import from_the_system, local_environment
from ops.local_servers import PostgresServer
from ops.project import Project
from ops.python_env import PythonEnv
from ops.sandbox_rules import find_sandbox_parts
from ops.services import SERVICES, Service
from ops.supervisor_config import Program, pid_file, spec_file

CODE_SUFFIXES = {".py", ".lua", ".json", ".html", ".css", ".js", ".ini"}


class ProgramPlan:
    """All programs of a checkout, for one environment and numbers of replicas."""

    def __init__(self, project: Project, env: PythonEnv, postgres: PostgresServer, run: Path) -> None:
        self._project = project
        self._env = env
        self._postgres = postgres
        self._run = run

    def programs(self, replicas: Mapping[str, int]) -> list[Program]:
        """What supervisord shall know. The sandbox is left out where it plays nothing."""
        planned: list[Program] = []
        for service in SERVICES.values():
            if service.name == "postgres":
                planned.append(self._postgres_program(service))
            elif service.name == "redis":
                planned.append(self._redis_program(service))
            elif service.name != "sandbox" or find_sandbox_parts(self._project.values).any:
                count = replicas.get(service.name, 1)
                planned += [self._service_program(service, replica) for replica in range(count)]
        return planned

    def write_specs(self, programs: Iterable[Program]) -> None:
        """Write what `ops.launch` reads, for the owner's eyes only; specs of others go."""
        kept = set()
        for program in programs:
            path = spec_file(self._run, program.name)
            kept.add(path)
            content = {
                "argv": list(program.argv),
                "env": dict(program.env),
                "cwd": program.cwd,
                "account": program.account,
                "stop_signal": program.stop_signal,
                "pid_file": str(pid_file(self._run, program.name)),
            }
            fresh = path.with_suffix(".json.new")
            fresh.touch(mode=0o600)  # before the secrets are in it
            fresh.write_text(json.dumps(content), encoding="utf-8")
            fresh.replace(path)
        for path in self._run.glob("*.json"):
            if path not in kept:
                path.unlink()
                path.with_suffix(".pid").unlink(missing_ok=True)

    def _service_program(self, service: Service, replica: int) -> Program:
        name = f"{service.name}-{replica}" if service.scalable else service.name
        own = local_environment(self._project, service.name, replica=replica)
        # a process reads its code and the kit's at its start: a change of either restarts it
        folders = (self._project.root / service.name, self._project.root / "service_kit")
        return Program(
            name=name,
            service=service.name,
            port=self._project.port(service.port_variable) + replica,
            argv=[str(self._env.python), "-m", str(service.module)],
            env={**from_the_system(), **own},
            fingerprint=_digest(own, str(self._env.folder), *map(_code_state, folders)),
            cwd=str(self._project.root),
        )

    def _postgres_program(self, service: Service) -> Program:
        argv = self._postgres.command(self._env)
        account = self._postgres.account
        return Program(
            name=service.name,
            service=service.name,
            port=self._project.port(service.port_variable),
            argv=argv,
            env={**from_the_system(), "LC_ALL": "C"},
            fingerprint=_digest({}, *argv, self._postgres.login.digest),
            cwd="/",
            account=(account.uid, account.gid) if account else None,
            stop_signal="INT",  # a fast stop: sessions are ended, nothing is lost
        )

    def _redis_program(self, service: Service) -> Program:
        port = self._project.port(service.port_variable)
        config = self._run / "valkey.conf"
        data = self._project.local / "data" / "redis"
        values = self._project.values
        users = redis_users.rules(values)
        embedded.write_valkey_config(config, data, port, values["REDIS_PASSWORD"], users)
        server = embedded.find_binaries(self._env.site_packages).valkey_server
        argv = embedded.valkey_command(server, config)
        return Program(
            name=service.name,
            service=service.name,
            port=port,
            argv=argv,
            env=from_the_system(),
            fingerprint=_digest({}, *argv, config.read_text(encoding="utf-8")),
            cwd="/",
        )


def _digest(env: Mapping[str, str], *parts: str) -> str:
    return hashlib.sha256(json.dumps([sorted(env.items()), parts]).encode()).hexdigest()


def _code_state(folder: Path) -> str:
    """Changes when a file of the code changes (by size and time), so that a start takes new code in."""
    digest = hashlib.sha256()
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in {"tests", "__pycache__", "versions"})
        for name in sorted(files):
            if Path(name).suffix in CODE_SUFFIXES:
                found = Path(base, name).stat()
                digest.update(f"{base}/{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
